"""What a retriever run ends with: encoder, both knowledge indexes, fitted settings."""

import dataclasses
import hashlib
from pathlib import Path

from tokenizers import Tokenizer

from relik.config import PipelineConfig, changed
from relik.kb import KnowledgeBase
from relik.layout import KIND, LAYOUT
from relik.manifest import write_manifest
from relik.retriever.encoder import open_encoder
from relik.retriever.hybrid import HybridRetriever
from relik.types import TextEncoder
from relik_index import build_index
from relik_training.data.examples import read_examples
from relik_training.data.held_out import without_held_out
from relik_training.data.knowledge_records import Records
from relik_training.export import export_encoder, export_shared
from relik_training.recipes.bundle_settings import write_toml
from relik_training.recipes.recipe import RetrieverTraining
from relik_training.retriever.fusion import fit_fusion, with_weights
from relik_training.run.backbone import open_backbone
from relik_training.run.progress import told
from relik_training.run.run_files import check_same, read_figures, recorded


def build_base(config: RetrieverTraining) -> dict[str, object]:
    """Export the encoder of a finished run, build the knowledge indexes, fit the fusion weights.

    Args:
        config: Settings of the run; fills `out/bundle`.

    Returns:
        The folder, the fitted weights, and what the indexes say of themselves.

    Raises:
        ConfigError: The run is not finished, or was made with other settings.
    """
    run = Path(config.out)
    out = run / "bundle"
    check_same(run, config)
    out.mkdir(parents=True, exist_ok=True)
    pretrained = open_backbone(config.backbone)
    export_shared(pretrained.tokenizer, pretrained.embeddings.numpy(), out)
    record_tokens = config.index.record_tokens or config.passage_tokens
    export_encoder(run, out, dim=config.index.dim, record_tokens=record_tokens)
    receipts = _build_indexes(config, out, open_encoder(out, "auto", records=True))
    weights = _fit(config, out, open_encoder(out, "auto"))
    seal_base(config)
    return {"bundle": str(out), "fusion": weights, **receipts}


def seal_base(config: RetrieverTraining) -> None:
    """Write the manifest of a base bundle.

    Args:
        config: Settings of the run; `out/bundle` holds the built bundle.
    """
    run = Path(config.out)
    write_manifest(
        run / "bundle",
        kind=KIND,
        fields={
            "model": config.model,
            "sources": [dataclasses.asdict(each) for each in config.provenance],
            "recipe": {"retriever": recorded(config)},
            "training": {"retriever": read_figures(run)},
            "metrics": {},
        },
    )


def fingerprint(folder: Path) -> str:
    """Name an encoder by the content of its files, as `Bundle.encoder_fingerprint` does.

    Args:
        folder: A folder with query_encoder/ and shared/.

    Returns:
        Hexadecimal SHA-256.
    """
    digest = hashlib.sha256()
    encoder = LAYOUT.query_encoder
    names = [f"{encoder}/{p.name}" for p in (folder / encoder).iterdir()]
    names += [LAYOUT.tokenizer, LAYOUT.word_embeddings]
    for name in sorted(names):
        content = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def _build_indexes(config: RetrieverTraining, out: Path, encoder: TextEncoder) -> dict[str, object]:
    tokenizer = Tokenizer.from_file(str(out / LAYOUT.tokenizer))
    plans = {
        LAYOUT.relations: config.index.relations(),
        LAYOUT.entities: config.index.entities(),
    }
    receipts: dict[str, object] = {}
    for name, options in plans.items():
        with told() as tell:
            receipts[name] = build_index(
                Path(config.knowledge.out) / f"{name}.jsonl",
                out / name,
                encoder=encoder,
                tokenizer=tokenizer,
                encoder_fingerprint=fingerprint(out),
                options=options,
                progress=tell,
            )
    return receipts


def _fit(config: RetrieverTraining, out: Path, encoder: TextEncoder) -> dict[str, float]:
    settings = PipelineConfig(model=config.model, windows=config.windows)
    weights: dict[str, float] = {}
    if config.fusion.sources:
        examples = read_examples(
            without_held_out(config, config.fusion.sources),
            data=Path(config.data),
            titles=config.titles,
            entities=Records.read(Path(config.knowledge.out) / "entities.jsonl"),
            windows=config.windows,
        )
        kb = KnowledgeBase.open(out / LAYOUT.entities)
        weights = fit_fusion(
            examples,
            HybridRetriever(encoder, settings.retriever),
            kb,
            factors=config.fusion.factors,
        )
    fitted = dataclasses.replace(settings, retriever=with_weights(settings.retriever, weights))
    made = changed(fitted, config.pipeline, where="[pipeline]")
    write_toml(made, out / LAYOUT.pipeline)
    return dataclasses.asdict(made.retriever.fusion)
