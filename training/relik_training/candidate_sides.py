"""The knowledge bases of a base bundle with the retrievers that propose candidates from them.

Apart from the run, so that a process that only proposes candidates does not load torch.
"""

from pathlib import Path

from relik.bundle import LAYOUT
from relik.config import PipelineConfig, read_toml
from relik.kb import KnowledgeBase
from relik.retriever.encoder import open_encoder
from relik.retriever.hybrid import HybridRetriever
from relik_training.candidates import Side


def open_sides(base: Path, backend: str, *, threads: int = 0) -> tuple[Side, Side]:
    """Open entities and relations as serving does; they share the encoder.

    Args:
        base: Base bundle.
        backend: Of the encoder: "onnx", "torch" or "auto".
        threads: Threads of the encoder on ONNX Runtime, 0 for one per core.

    Returns:
        Entities, then relations.

    Raises:
        BundleError: The base cannot be used.
    """
    settings = read_toml(PipelineConfig, base / LAYOUT.pipeline)
    encoder = open_encoder(base, backend, threads=threads)
    entities = KnowledgeBase.open(base / LAYOUT.entities)
    relations = KnowledgeBase.open(base / LAYOUT.relations)
    return (
        (entities, HybridRetriever(encoder, entities, settings.retriever)),
        (relations, HybridRetriever(encoder, relations, settings.retriever, lexical=False)),
    )
