"""What a reader run ends with: a whole bundle, calibrated and sealed."""

import dataclasses
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from relik.config import CalibrationConfig, PipelineConfig, changed, read_pipeline
from relik.layout import KIND, LAYOUT
from relik.manifest import MANIFEST, publish, read_manifest, write_manifest
from relik.names.language import DEFAULT_LANGUAGE
from relik.pipeline import Pipeline
from relik.reader.open_reader import row_tokens
from relik.types import AnnotateOptions
from relik_training.data.examples import Example
from relik_training.export import export_reader
from relik_training.reader.calibration import calibrate
from relik_training.reader.own_base import standing
from relik_training.reader.prototypes import draw_to_examples
from relik_training.reader.reader_windows import read_windows
from relik_training.recipes.bundle_settings import write_toml
from relik_training.recipes.recipe import ReaderTraining
from relik_training.run.costs import sample_documents
from relik_training.run.run_files import check_same, read_figures, recorded

_DOCUMENTS = 32
# A trained reader finds some spans more than there are; one that has hardly begun, every word.
_FOUND_PER_GOLD = 1.5
_FROM_BASE = ("shared", LAYOUT.query_encoder, LAYOUT.entities, LAYOUT.relations)


def build_bundle(config: ReaderTraining) -> dict[str, object]:
    """Join the base and a finished reader run to `out/bundle`; calibrate and seal it.

    Returns:
        The folder and the figures of the calibration.

    Raises:
        ConfigError: The run is not finished, or was made with other settings.
    """
    check_same(Path(config.out), config)
    config = standing(config)
    run, base = Path(config.out), Path(config.base)
    target, aside = run / "bundle", run / ".bundle.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for name in _FROM_BASE:
        shutil.copytree(base / name, aside / name)
    export_reader(run, aside)
    if config.prototype_weight:
        relations = Path(config.knowledge) / "relations.jsonl"
        examples = read_windows(config)
        draw_to_examples(aside, examples, relations, weight=config.prototype_weight)
    about = json.loads((aside / LAYOUT.reader / LAYOUT.config).read_text(encoding="utf-8"))
    write_toml(serving_settings(config, about["backbone"]), aside / LAYOUT.pipeline)
    write_manifest(aside, kind=KIND, fields=_fields(config))
    report: dict[str, object] = {}
    if config.calibration.sources:
        report = calibrate(aside, config)
    publish(aside, target, replace=True)
    return {"bundle": str(target), "calibration": report}


def annotating_seconds(pipeline: Pipeline, examples: Sequence[Example]) -> float:
    """Estimate how long a trained reader annotates texts, from one that has hardly begun.

    Args:
        pipeline: With the reader that has hardly begun.
        examples: Whole documents with their mentions.

    Returns:
        Seconds for all.
    """
    chosen = sample_documents(examples, _DOCUMENTS, seed=0, document=id)
    if not chosen:
        return 0.0
    first = chosen[: len(chosen) // 4 + 1]
    loose = AnnotateOptions(threshold=0.0, relation_threshold=1.0, nil=True)
    found = pipeline.annotate([each.document for each in first], options=loose)
    scores = sorted((span.score for each in found for span in each.spans), reverse=True)
    wanted = int(sum(len(example.mentions) for example in first) * _FOUND_PER_GOLD)
    strict = replace(loose, threshold=scores[wanted] if wanted < len(scores) else 0.0)
    began = time.monotonic()
    pipeline.annotate([each.document for each in chosen], options=strict)
    seconds = time.monotonic() - began
    letters = [sum(len(example.text) for example in part) for part in (chosen, examples)]
    return seconds * letters[1] / max(1, letters[0])


def serving_settings(config: ReaderTraining, backbone: Mapping[str, object]) -> PipelineConfig:
    """Give the settings of the bundle, uncalibrated, with rows that the backbone can read."""
    settings = changed(
        read_pipeline(Path(config.base) / LAYOUT.pipeline), config.pipeline, where="[pipeline]"
    )
    longest = min(settings.reader.max_tokens, row_tokens(backbone))
    return replace(
        settings,
        model=config.model or settings.model,
        reader=replace(settings.reader, max_tokens=longest),
        calibration=CalibrationConfig(),
    )


def _fields(config: ReaderTraining) -> dict[str, object]:
    """Give what the manifest says: what the base says of itself, and the reader's part."""
    base, run = Path(config.base), Path(config.out)
    held = dict(read_manifest(base).fields) if (base / MANIFEST).is_file() else {}
    sources = _tables(held.get("sources"))
    known = {source.get("name") for source in sources}
    sources += [dataclasses.asdict(each) for each in config.provenance if each.name not in known]
    return {
        "model": config.model or read_pipeline(base / LAYOUT.pipeline).model,
        "language": held.get("language", DEFAULT_LANGUAGE),
        "sources": sources,
        "licences": sorted({str(source["licence"]) for source in sources}),
        "recipe": {**_table(held.get("recipe")), "reader": recorded(config)},
        "training": {**_table(held.get("training")), "reader": read_figures(run)},
        "metrics": {},
    }


def _table(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, dict) else {}


def _tables(value: object) -> list[dict[str, object]]:
    return [_table(each) for each in value] if isinstance(value, list) else []
