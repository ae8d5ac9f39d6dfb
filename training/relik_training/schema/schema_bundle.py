"""What a run of a closed schema ends with: a bundle, calibrated, measured and sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from relik.bundle import open_bundle
from relik.config import PipelineConfig, read_pipeline
from relik.evaluation import GoldDocument, analyse_strict, read_gold
from relik.evaluation.answers import Answer, answer_triples
from relik.layout import KIND, LAYOUT
from relik.manifest import publish, write_manifest
from relik.types import AnnotateOptions
from relik_training.export import export_reader
from relik_training.reader.calibration import (
    Judged,
    fit_scores,
    raw_threshold,
    to_judged,
    with_fitted,
)
from relik_training.recipes.bundle_settings import write_toml
from relik_training.recipes.schema_settings import SchemaTraining
from relik_training.run.run_files import BUNDLE_FOLDER, begin_bundle

# Least raw score of what takes part in calibration.
_LEAST = 0.02
_PRECISION = 0.9


def build_schema_bundle(
    config: SchemaTraining, splits: Mapping[str, Path], *, fitted_by: Path | None = None
) -> dict[str, object]:
    """Join base and reader of a finished run to `out/bundle`; calibrate, measure and seal it.

    Args:
        config: Settings of the run.
        splits: Files by name, as of `write_splits`.
        fitted_by: Bundle whose thresholds are taken over; None fits them on `dev`.

    Returns:
        The folder, and the figures on `dev`, unless it was trained on, and on `test`.

    Raises:
        ConfigError: The run is not finished, or was made with other settings.
    """
    run = Path(config.out)
    aside, fields = begin_bundle(config, "reader")
    export_reader(run, aside)
    write_manifest(aside, kind=KIND, fields=fields)
    if fitted_by is None:
        settings, report = _calibrated(aside, read_gold(splits["dev"], typed=True), config)
    else:
        settings, report = _taken_over(aside, fitted_by), {"from": "the run without dev"}
    write_toml(settings, aside / LAYOUT.pipeline)
    write_manifest(aside, kind=KIND, fields=fields)
    figures = _measured(aside, config, splits)
    write_manifest(
        aside, kind=KIND, fields={**fields, "metrics": {"calibration": report, **figures}}
    )
    target = run / BUNDLE_FOLDER
    publish(aside, target, replace=True)
    return {"bundle": str(target), "calibration": report, **figures}


def _calibrated(
    bundle: Path, gold: Sequence[GoldDocument], config: SchemaTraining
) -> tuple[PipelineConfig, dict[str, object]]:
    """Fit scores and thresholds on texts that were not trained on."""
    pipeline = open_bundle(bundle, verify=False).pipeline("auto")
    options = AnnotateOptions(
        threshold=_LEAST, relation_threshold=_LEAST, pretokenised=config.pretokenised
    )
    answers = answer_triples(pipeline, gold, options=options)
    halved, chosen = config.half_f1, config.thresholds
    spans = fit_scores(_judged_spans(answers), _PRECISION, halved=halved, fixed=chosen[0])
    of_triples = _judged_triples(answers, least=raw_threshold(spans))
    triples = fit_scores(of_triples, _PRECISION, halved=halved, fixed=chosen[1])
    fitted = with_fitted(pipeline.config, spans, triples)
    return fitted, {"documents": len(gold), "spans": spans.report, "triples": triples.report}


def _taken_over(bundle: Path, fitted_by: Path) -> PipelineConfig:
    own = read_pipeline(bundle / LAYOUT.pipeline)
    fitted = read_pipeline(fitted_by / LAYOUT.pipeline)
    return replace(own, reader=fitted.reader, rules=fitted.rules, calibration=fitted.calibration)


def _measured(
    bundle: Path, config: SchemaTraining, splits: Mapping[str, Path]
) -> dict[str, dict[str, object]]:
    pipeline = open_bundle(bundle, verify=False).pipeline("auto")
    options = AnnotateOptions(pretokenised=config.pretokenised)
    names = ("test",) if config.with_dev else ("dev", "test")
    return {
        name: analyse_strict(pipeline, read_gold(splits[name], typed=True), options=options).figures
        for name in names
        if name in splits
    }


def _judged_spans(answers: Sequence[Answer]) -> Judged:
    judged = []
    for answer in answers:
        gold = {(m.span, m.entity_id) for m in answer.gold.mentions}
        judged += [
            (found.score, (found.span, found.entity_id) in gold)
            for found in answer.annotation.spans
            if found.entity_id is not None
        ]
    return to_judged(judged, sum(len(answer.gold.mentions) for answer in answers))


def _judged_triples(answers: Sequence[Answer], *, least: float) -> Judged:
    judged = []
    for answer in answers:
        typed = {(m.span, m.entity_id) for m in answer.gold.mentions}
        stated = {(t.subject.span, t.relation_id, t.object.span) for t in answer.gold.triples}
        found = {s.span: s for s in answer.annotation.spans if s.score >= least}
        for triple in answer.annotation.triples:
            ends = [found[end] for end in (triple.subject, triple.object) if end in found]
            if len(ends) == 2:
                right = (triple.subject, triple.relation_id, triple.object) in stated
                types = all((end.span, end.entity_id) in typed for end in ends)
                judged.append((triple.score, right and types))
    return to_judged(judged, sum(len(answer.gold.triples) for answer in answers))
