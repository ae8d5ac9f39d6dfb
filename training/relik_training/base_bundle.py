"""What a retriever run ends with: encoder, both knowledge indexes, fitted settings."""

import dataclasses
import hashlib
from pathlib import Path

from tokenizers import Tokenizer

from relik.config import PipelineConfig
from relik.kb import KnowledgeBase
from relik.retriever.encoder import open_encoder
from relik.retriever.hybrid import HybridRetriever
from relik_index import BuildOptions, build_index
from relik_training.backbone import open_backbone
from relik_training.examples import Example
from relik_training.export import export_encoder, export_shared
from relik_training.fusion import fit_fusion, with_weights
from relik_training.settings import write_toml


def fingerprint(folder: Path) -> str:
    """Name an encoder by the content of its files, as `Bundle.encoder_fingerprint` does.

    Args:
        folder: A folder with query_encoder/ and shared/.

    Returns:
        Hexadecimal SHA-256.
    """
    digest = hashlib.sha256()
    names = [f"query_encoder/{p.name}" for p in (folder / "query_encoder").iterdir()]
    names += ["shared/tokenizer.json", "shared/word_embeddings.safetensors"]
    for name in sorted(names):
        content = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def build_base(
    run: Path,
    out: Path,
    *,
    backbone: str,
    knowledge: Path,
    examples: list[Example],
    entity_options: BuildOptions,
    config: PipelineConfig,
) -> dict[str, object]:
    """Export the encoder, build the knowledge indexes, fit the fusion weights.

    Args:
        run: Folder of the retriever run.
        out: Folder to fill.
        backbone: The backbone of the run, for tokenizer and word embeddings.
        knowledge: Folder with entities.jsonl and relations.jsonl.
        examples: Training windows to fit the weights on.
        entity_options: How the index of entities is built.
        config: Settings that the fitted weights go into.

    Returns:
        What the indexes' manifests say.
    """
    out.mkdir(parents=True, exist_ok=True)
    pretrained = open_backbone(backbone)
    export_shared(pretrained.tokenizer, pretrained.embeddings.numpy(), out)
    export_encoder(run, out)
    tokenizer = Tokenizer.from_file(str(out / "shared" / "tokenizer.json"))
    encoder = open_encoder(out, "onnx")
    receipts: dict[str, object] = {}
    for name, options in (
        ("relations", BuildOptions(candidate_tokens=8, force=True)),
        ("entities", entity_options),
    ):
        receipts[name] = build_index(
            knowledge / f"{name}.jsonl",
            out / name,
            encoder=encoder,
            tokenizer=tokenizer,
            encoder_fingerprint=fingerprint(out),
            options=options,
        )
    kb = KnowledgeBase.open(out / "entities")
    retriever = HybridRetriever(encoder, kb, config.retriever)
    weights = fit_fusion(examples, retriever, kb)
    fitted = dataclasses.replace(config, retriever=with_weights(config.retriever, weights))
    write_toml(fitted, out / "pipeline.toml")
    return {"weights": weights, **receipts}
