"""What a retriever run ends with: encoder, both knowledge indexes, fitted settings."""

import dataclasses
import hashlib
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

from tokenizers import Tokenizer

from relik.config import PipelineConfig, read_pipeline
from relik.kb import KnowledgeBase
from relik.layout import KIND, LAYOUT
from relik.manifest import write_manifest
from relik.retriever.encoder import open_encoder
from relik.retriever.hybrid import HybridRetriever
from relik.types import TextEncoder
from relik_index import build_index
from relik_training.data.examples import Example, read_examples
from relik_training.data.held_out import without_held_out
from relik_training.data.json_lines import read_jsonl, write_jsonl
from relik_training.data.knowledge_records import Records
from relik_training.export import export_encoder, export_shared
from relik_training.recipes.bundle_settings import write_changed
from relik_training.recipes.recipe import RetrieverTraining
from relik_training.recipes.retriever_settings import FusionTraining
from relik_training.retriever.fusion import fit_fusion, with_weights
from relik_training.run.backbone import open_backbone
from relik_training.run.costs import EndCost, sample_documents, straight_line
from relik_training.run.metrics import folder_bytes
from relik_training.run.progress import told
from relik_training.run.run_clock import resident_bytes
from relik_training.run.run_files import check_same, read_figures, recorded

# Entities of the two indexes that are built for a plan; quantisation needs some hundreds.
_SMALL, _LARGE = 1500, 4500
# Windows that the fusion is fitted on for a plan.
_WINDOWS = 192


def build_base(config: RetrieverTraining) -> dict[str, object]:
    """Export the encoder of a finished run, build the knowledge indexes, fit the fusion weights.

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
    write_manifest(
        out,
        kind=KIND,
        fields={
            "model": config.model,
            "sources": [dataclasses.asdict(each) for each in config.provenance],
            "recipe": {"retriever": recorded(config)},
            "training": {"retriever": read_figures(run)},
            "metrics": {},
        },
    )
    return {"bundle": str(out), "fusion": weights, **receipts}


def fingerprint(folder: Path) -> str:
    """Name an encoder by the SHA-256 of its files, as `Bundle.encoder_fingerprint` does.

    Args:
        folder: A folder with query_encoder/ and shared/.
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


def base_cost(config: RetrieverTraining) -> EndCost:
    """Build two small bases, to see what entities cost; fit the fusion on some windows.

    Args:
        config: Settings of a run in a scratch folder, which has its weights.

    Returns:
        Cost of the whole end.
    """
    whole = sum(1 for _ in read_jsonl(Path(config.knowledge.out) / "entities.jsonl"))
    resident = resident_bytes()
    small = large = _build_part(config, min(_SMALL, whole))
    if whole > _SMALL:
        large = _build_part(config, min(_LARGE, whole))
    bundle = Path(config.out) / "bundle"
    dim = open_encoder(bundle, "auto").dim

    def at_whole(figure: int) -> float:
        return straight_line((small[0], small[figure]), (large[0], large[figure]), whole)

    # The vectors of all entities are in memory at once, and once more while they are learned
    # from; the rest of an entity's memory was seen.
    vectors = 8 * dim * (whole - large[0])
    return EndCost(
        seconds=at_whole(1) + _fitting_seconds(config, bundle),
        bundle_bytes=round(at_whole(2)),
        memory_bytes=vectors + round(max(0.0, large[3] - resident)),
    )


def _build_part(config: RetrieverTraining, size: int) -> tuple[int, float, float, float]:
    """Build the base of the first entities: how many, seconds, bytes, memory."""
    source, run = Path(config.knowledge.out), Path(config.out)
    part = run.parent / f"knowledge-{size}"
    write_jsonl(part / "entities.jsonl", islice(read_jsonl(source / "entities.jsonl"), size))
    write_jsonl(part / "relations.jsonl", read_jsonl(source / "relations.jsonl"))
    knowledge = replace(config.knowledge, out=str(part))
    began = time.monotonic()
    build_base(replace(config, knowledge=knowledge, fusion=FusionTraining()))
    seconds = time.monotonic() - began
    return size, seconds, folder_bytes(run / "bundle"), resident_bytes()


def _fitting_seconds(config: RetrieverTraining, bundle: Path) -> float:
    if not config.fusion.sources:
        return 0.0
    began = time.monotonic()
    examples = _fusion_examples(config)
    settings = read_pipeline(bundle / LAYOUT.pipeline)
    kb = KnowledgeBase.open(bundle / LAYOUT.entities)
    retriever = HybridRetriever(open_encoder(bundle, "auto"), settings.retriever)
    chosen = sample_documents(examples, _WINDOWS, seed=0, document=lambda each: each.doc_id)
    opened = time.monotonic()
    fit_fusion(chosen, retriever, kb)
    fitted = time.monotonic() - opened
    return opened - began + fitted * len(examples) / len(chosen)


def _fusion_examples(config: RetrieverTraining) -> list[Example]:
    return read_examples(
        without_held_out(config, config.fusion.sources),
        data=Path(config.data),
        titles=config.titles,
        entities=Records.read(Path(config.knowledge.out) / "entities.jsonl"),
        windows=config.windows,
    )


def _fit(config: RetrieverTraining, out: Path, encoder: TextEncoder) -> dict[str, float]:
    settings = PipelineConfig(model=config.model, windows=config.windows)
    weights: dict[str, float] = {}
    if config.fusion.sources:
        kb = KnowledgeBase.open(out / LAYOUT.entities)
        weights = fit_fusion(
            _fusion_examples(config),
            HybridRetriever(encoder, settings.retriever),
            kb,
            factors=config.fusion.factors,
        )
    fitted = replace(settings, retriever=with_weights(settings.retriever, weights))
    made = write_changed(fitted, config, out / LAYOUT.pipeline)
    return dataclasses.asdict(made.retriever.fusion)
