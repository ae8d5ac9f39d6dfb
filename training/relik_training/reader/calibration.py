"""Calibration of scores by Platt scaling, and choice of thresholds, on development texts.

Source: Platt, "Probabilistic outputs for support vector machines and comparisons to regularized
likelihood methods" (1999), with the smoothed targets of its section 2.2; Lipton, Elkan and
Narayanaswamy, "Optimal Thresholding of Classifiers to Maximize F1 Measure" (2014).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relik.bundle import open_bundle
from relik.config import CalibrationConfig, PipelineConfig
from relik.errors import InputError
from relik.layout import KIND, LAYOUT
from relik.manifest import write_manifest
from relik.pipeline import Pipeline
from relik.reader.decode import calibrated, with_ends
from relik.types import AnnotateOptions, Annotation, FloatArray
from relik_training.data.examples import Example
from relik_training.reader.reader_windows import read_development
from relik_training.recipes.bundle_settings import write_toml
from relik_training.recipes.recipe import CalibrationTraining, ReaderTraining
from relik_training.retriever.fusion import fit_logistic
from relik_training.run.progress import told

GRID = np.round(np.arange(0.02, 0.99, 0.01), 2)
"""Float64, (97,), ascending: possible thresholds, as calibrated scores."""
_ROUNDING = 1e-9

_BATCH = 32
_EPSILON = 1e-6
# Positive, so that scaling keeps the order of scores.
_MIN_SCALE = 0.05

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Predictions on annotated parts of the development set.

    Args:
        scores: Float32, (n,), raw scores, 0..1.
        correct: Bool, (n,).
        n_gold: Number of gold annotations.
    """

    scores: FloatArray
    correct: BoolArray
    n_gold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Platt scaling and threshold of spans or triples.

    Args:
        scale: Factor of the log-odds.
        shift: Added to the log-odds.
        threshold: Minimum calibrated score, 0..1.
        report: Figures for the manifest.
    """

    scale: float
    shift: float
    threshold: float
    report: dict[str, object] = field(default_factory=dict)


def calibrate(folder: Path, recipe: ReaderTraining) -> dict[str, object]:
    """Fit calibration and thresholds, and write them into a bundle.

    It replaces `pipeline.toml`, and writes the manifest again with the figures under `metrics`.

    Args:
        folder: A bundle; an earlier calibration is discarded.
        recipe: Names the development texts, and thresholds that are not fitted.

    Returns:
        Figures of `spans` and `triples`: scale, shift, threshold, calibration error before and
        after, precision, recall and F1 at the threshold.

    Raises:
        InputError: There are no development texts.
    """
    config, chosen = recipe.calibration, recipe.thresholds
    examples = read_development(recipe, limit=config.limit)
    if not examples:
        raise InputError("got no development texts, expected some: name them in [calibration]")
    bundle = open_bundle(folder, verify=False)
    plain = replace(bundle.config, calibration=CalibrationConfig())
    pipeline = replace(bundle, config=plain).pipeline()
    annotations = _annotate(pipeline, examples, config)
    of_spans = _judged_spans(examples, annotations)
    slack, floor = config.slack, config.threshold
    spans = fit_scores(of_spans, config.precision, slack=slack, fixed=chosen[0], floor=floor)
    ends, judged = choose_ends(examples, annotations, spans, config.ends)
    slack, floor = -config.triple_slack, config.relation_threshold
    triples = fit_scores(judged, config.precision, slack=slack, fixed=chosen[1], floor=floor)
    fitted = with_fitted(plain, spans, triples, ends=ends)
    report: dict[str, object] = {
        "documents": len(examples),
        "spans": spans.report,
        "triples": {**triples.report, **({"ends": ends} if ends else {})},
    }
    write_toml(fitted, folder / LAYOUT.pipeline)
    held = bundle.manifest.fields.get("metrics")
    metrics = {**(held if isinstance(held, dict) else {}), "calibration": report}
    write_manifest(folder, kind=KIND, fields={**bundle.manifest.fields, "metrics": metrics})
    return report


def with_fitted(
    config: PipelineConfig, spans: Fitted, triples: Fitted, *, ends: float = 0.0
) -> PipelineConfig:
    """Return settings with fitted scales and thresholds.

    Args:
        ends: `CalibrationConfig.triple_ends`.
    """
    return replace(
        config,
        reader=replace(
            config.reader, threshold=spans.threshold, relation_threshold=triples.threshold
        ),
        calibration=CalibrationConfig(
            span_scale=spans.scale,
            span_shift=spans.shift,
            triple_scale=triples.scale,
            triple_shift=triples.shift,
            triple_ends=ends,
        ),
    )


def fit_scores(
    judged: Judged,
    precision: float,
    *,
    slack: float = 0.0,
    fixed: float | None = None,
    halved: bool = False,
    floor: float = 0.0,
) -> Fitted:
    """Fit scaling and threshold of spans or triples.

    Args:
        precision: Precision of a second threshold, which is only reported, 0..1.
        slack: Loss of F1 to accept for a lower threshold; negative for a higher one.
        fixed: The threshold; None to choose it by F1.
        halved: Use half of the best F1 as threshold, the optimum for calibrated scores (Lipton et
            al. 2014, theorem 1), which is more robust with few predictions. Overrides `slack`.
        floor: As `covered_thresholds`.
    """
    scale, shift = (round(value, 4) for value in fit_platt(judged.scores, judged.correct))
    odds = scale * _logit(judged.scores) + shift
    scores = (1 / (1 + np.exp(-odds))).astype(np.float32)
    covered = covered_thresholds(floor, scale, shift)
    curve = [
        precision_recall_f1((scores >= least) & is_covered, judged.correct, judged.n_gold)
        for least, is_covered in zip(GRID, covered, strict=True)
    ]
    top = max(rate[2] for rate in curve)
    # Thresholds whose F1 is close enough to the best.
    eligible = [i for i, rate in enumerate(curve) if covered[i] and rate[2] >= top - abs(slack)]
    if halved or fixed is not None:
        eligible = [int(np.abs(GRID - (top / 2 if fixed is None else fixed)).argmin())]
    best = eligible[-1 if slack < 0 else 0] if len(scores) else None
    threshold = 0.5 if best is None else float(GRID[best])
    threshold = threshold if fixed is None else fixed
    figures = (0.0, 0.0, 0.0) if best is None else curve[best]
    precise = next((i for i, rate in enumerate(curve) if rate[0] >= precision), None)
    report: dict[str, object] = {
        "scale": scale,
        "shift": shift,
        "threshold": threshold,
        **dict(zip(("precision", "recall", "f1"), (round(r, 4) for r in figures), strict=True)),
        "threshold_for_precision": {
            "precision": precision,
            "threshold": None if precise is None else float(GRID[precise]),
            "recall": None if precise is None else round(curve[precise][1], 4),
        },
        "ece_before": round(expected_calibration_error(judged.scores, judged.correct), 4),
        "ece_after": round(expected_calibration_error(scores, judged.correct), 4),
        "judged": len(scores),
        "gold": judged.n_gold,
    }
    return Fitted(scale=scale, shift=shift, threshold=threshold, report=report)


def fit_platt(raw: FloatArray, correct: BoolArray) -> tuple[float, float]:
    """Fit `sigmoid(scale * logit(raw) + shift)` to the probability of a correct prediction.

    Args:
        raw: Float32, (n,), 0..1.
        correct: Bool, (n,).

    Returns:
        Scale, positive, and shift; 1 and 0 without predictions.
    """
    right = int(correct.sum())
    wrong = len(correct) - right
    if not len(correct):
        return 1.0, 0.0
    targets = np.where(correct, (right + 1) / (right + 2), 1 / (wrong + 2)).astype(np.float32)
    weights, shift = fit_logistic(_logit(raw)[:, None], targets)
    scale = float(weights[0])
    if scale < _MIN_SCALE:
        share = float(targets.mean())
        scale = _MIN_SCALE
        shift = float(np.log(share / (1 - share)) - scale * _logit(raw).mean())
    return scale, shift


def covered_thresholds(floor: float, scale: float, shift: float) -> BoolArray:
    """Tell which thresholds keep no prediction below the floor of the judged ones.

    On few texts the best F1 may keep all judged predictions. A flat scaling puts these far above
    the lowest threshold, at which serving would also keep predictions that were never judged.

    Args:
        floor: Minimum raw score of judged predictions, 0..1; 0 if all were judged.
        scale: Platt scale.
        shift: Platt shift.

    Returns:
        Bool, (97,), for each threshold of `GRID`; the last is always True.
    """
    lowest = calibrated(floor, scale, shift) if floor > 0 else -math.inf
    return np.asarray(min(lowest, GRID[-1]) <= GRID)


def precision_recall_f1(
    kept: BoolArray, correct: BoolArray, n_gold: int
) -> tuple[float, float, float]:
    """Return precision, recall and F1; 0 where the denominator is 0.

    Args:
        kept: Bool, (n,), predictions above the threshold.
        correct: Bool, (n,), correct predictions.
        n_gold: Number of gold annotations.
    """
    right = int((correct & kept).sum())
    precision = right / max(1, int(kept.sum()))
    recall = right / max(1, n_gold)
    return precision, recall, 2 * precision * recall / max(precision + recall, _ROUNDING)


def expected_calibration_error(scores: FloatArray, correct: BoolArray, bins: int = 10) -> float:
    """Return the mean over predictions of |mean score - share correct| of their bin, 0..1.

    Args:
        scores: Float32, (n,), 0..1.
        correct: Bool, (n,).
        bins: Number of bins of equal width.
    """
    if not len(scores):
        return 0.0
    bin_of = np.minimum((scores * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(bin_of, weights=scores.astype(np.float64) - correct, minlength=bins)
    return float(np.abs(gaps).sum() / len(scores))


def judge_spans(example: Example, annotation: Annotation) -> list[tuple[float, bool]]:
    """Judge the linked spans of a document.

    Spans that overlap an unknown span, or a mention whose link is not annotated, are left out.

    Returns:
        Score, and whether span and id are those of a gold mention.
    """
    gold = {mention.span: mention.entity_id for mention in example.mentions}
    unannotated = [*example.unknown, *(m.span for m in example.mentions if m.entity_id == "")]
    return [
        (found.score, gold.get(found.span) == found.entity_id)
        for found in annotation.spans
        if found.entity_id is not None
        and not any(found.span.overlaps(span) for span in unannotated)
    ]


def judge_triples(
    example: Example, annotation: Annotation, *, least: float
) -> list[tuple[float, bool]]:
    """Judge the triples of a document.

    If only some relations are annotated, a pair is left out unless it has a gold triple or both
    its spans are gold mentions.

    Args:
        least: Minimum raw score of a span, 0..1.

    Returns:
        Score, and whether spans and relation are those of a gold triple.
    """
    kept = {found.span for found in annotation.spans if found.score >= least}
    gold = _gold_triples(example)
    related = {(subject, obj) for subject, _, obj in gold}
    gold_spans = {mention.span for mention in example.mentions}
    judged = []
    for triple in annotation.triples:
        pair = (triple.subject, triple.object)
        has_label = example.relations == "all" or pair in related or gold_spans.issuperset(pair)
        if has_label and kept.issuperset(pair):
            right = (triple.subject, triple.relation_id, triple.object) in gold
            judged.append((triple.score, right))
    return judged


def choose_ends(
    examples: Sequence[Example],
    annotations: Sequence[Annotation],
    spans: Fitted,
    weights: Sequence[float],
) -> tuple[float, Judged]:
    """Choose the weight of span scores in the scores of triples, by log loss.

    Args:
        annotations: Annotations with raw scores.
        weights: Weights to try, besides 0.

    Returns:
        The weight, and the judged triples with weighted scores.
    """
    tried = []
    for weight in sorted({0.0, *weights}):
        weighted = [weigh_ends(each, spans.scale, spans.shift, weight) for each in annotations]
        judged = _judged_triples(examples, weighted, raw_threshold(spans))
        scale, shift = fit_platt(judged.scores, judged.correct)
        odds = scale * _logit(judged.scores) + shift
        loss = np.logaddexp(0.0, np.where(judged.correct, -odds, odds)).mean() if len(odds) else 0.0
        tried.append((float(loss), weight, judged))
    _, weight, judged = min(tried, key=lambda each: each[:2])
    return weight, judged


def weigh_ends(annotation: Annotation, scale: float, shift: float, weight: float) -> Annotation:
    """Weight the raw scores of triples by the calibrated scores of their spans.

    Args:
        annotation: An annotation with raw scores.
        scale: `CalibrationConfig.span_scale`.
        shift: `CalibrationConfig.span_shift`.
        weight: `CalibrationConfig.triple_ends`.
    """
    score_of = {found.span: calibrated(found.score, scale, shift) for found in annotation.spans}
    triples = tuple(
        replace(
            triple,
            score=with_ends(
                triple.score, (score_of[triple.subject], score_of[triple.object]), weight
            ),
        )
        for triple in annotation.triples
    )
    return replace(annotation, triples=triples)


def _annotate(
    pipeline: Pipeline, examples: Sequence[Example], config: CalibrationTraining
) -> list[Annotation]:
    options = AnnotateOptions(
        threshold=config.threshold, relation_threshold=config.relation_threshold, nil=True
    )
    found: list[Annotation] = []
    with told() as progress:
        for first in range(0, len(examples), _BATCH):
            part = examples[first : first + _BATCH]
            found.extend(pipeline.annotate([each.document for each in part], options=options))
            progress("development texts", len(found), len(examples))
    return found


def _judged_spans(examples: Sequence[Example], annotations: Sequence[Annotation]) -> Judged:
    pairs = zip(examples, annotations, strict=True)
    judged = [each for example, found in pairs for each in judge_spans(example, found)]
    return to_judged(judged, sum(bool(m.entity_id) for each in examples for m in each.mentions))


def _judged_triples(
    examples: Sequence[Example], annotations: Sequence[Annotation], least: float
) -> Judged:
    judged: list[tuple[float, bool]] = []
    n_gold = 0
    for example, annotation in zip(examples, annotations, strict=True):
        if example.relations != "none":
            judged.extend(judge_triples(example, annotation, least=least))
            n_gold += len(_gold_triples(example))
    return to_judged(judged, n_gold)


def to_judged(judged: Sequence[tuple[float, bool]], n_gold: int) -> Judged:
    """Gather scores, each with whether it is right."""
    return Judged(
        scores=np.array([score for score, _ in judged], dtype=np.float32),
        correct=np.array([right for _, right in judged], dtype=bool),
        n_gold=n_gold,
    )


def _gold_triples(example: Example) -> set[tuple[object, str, object]]:
    spans = [mention.span for mention in example.mentions]
    return {(spans[s], relation, spans[o]) for s, relation, o in example.triples}


def _logit(raw: FloatArray) -> FloatArray:
    bounded = np.clip(raw.astype(np.float64), _EPSILON, 1 - _EPSILON)
    return np.log(bounded / (1 - bounded)).astype(np.float32)


def raw_threshold(fitted: Fitted) -> float:
    """Return the threshold as a score before calibration, 0..1."""
    odds = (np.log(fitted.threshold / (1 - fitted.threshold)) - fitted.shift) / fitted.scale
    return float(1 / (1 + np.exp(-odds)))
