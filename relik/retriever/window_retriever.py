"""Open what proposes candidates: by search where records have vectors, else all of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from relik.config import RetrieverConfig
from relik.errors import BundleError, ConfigError
from relik.kb import KnowledgeBase
from relik.retriever.encoder import open_encoder
from relik.retriever.exhaustive import GivenRetriever
from relik.retriever.hybrid import HybridRetriever
from relik.types import Candidate, FloatArray, Window


class WindowRetriever(Protocol):
    """A retriever whose encoding of windows another one can use."""

    def encode(self, windows: Sequence[Window]) -> FloatArray:
        """Encode windows: float32, (n_windows, dim)."""

    def retrieve_encoded(
        self, windows: Sequence[Window], vectors: FloatArray, *, top_k: int
    ) -> list[tuple[Candidate, ...]]:
        """Return the candidates of encoded windows, best first."""


def open_retrievers(
    folder: Path,
    backend: str,
    *,
    config: RetrieverConfig,
    knowledge: tuple[KnowledgeBase, KnowledgeBase],
) -> tuple[WindowRetriever, WindowRetriever]:
    """Open the retrievers of a bundle.

    Args:
        folder: The bundle; its encoder is opened where records are searched for.
        backend: "onnx", "torch" or "auto".
        config: Weights of the features, and how many candidates a window gets.
        knowledge: Knowledge bases of entities and of relations.

    Returns:
        The retriever of entities and that of relations.

    Raises:
        BundleError: The encoder is missing or broken, or relations have vectors where entities
            have none.
        ConfigError: There is no such backend, or not all given records fit a window.
    """
    entities, relations = knowledge
    for name, top_k, kb in (
        ("entity_top_k", config.entity_top_k, entities),
        ("relation_top_k", config.relation_top_k, relations),
    ):
        if not kb.dim and top_k < len(kb):
            raise ConfigError(
                f"{folder}: got [retriever] {name} {top_k}, expected at least {len(kb)}, since its "
                "records have no vectors to choose by: raise it in pipeline.toml"
            )
    if not entities.dim:
        if relations.dim:
            raise BundleError(
                f"{folder}: got relations with vectors beside entities without, expected vectors "
                "for both or for entities alone: build the index of entities with an encoder"
            )
        return GivenRetriever(entities), GivenRetriever(relations)
    encoder = open_encoder(folder, backend)
    return (
        HybridRetriever(encoder, entities, config),
        HybridRetriever(encoder, relations, config, lexical=False)
        if relations.dim
        else GivenRetriever(relations),
    )
