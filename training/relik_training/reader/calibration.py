"""Fit scores that mean what they say, and the thresholds that go with them, on development texts.

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
from relik.config import CalibrationConfig, WindowConfig
from relik.errors import InputError
from relik.layout import KIND, LAYOUT
from relik.manifest import write_manifest
from relik.pipeline import Pipeline
from relik.reader.decode import calibrated, with_ends
from relik.types import AnnotateOptions, Annotation, Document, FloatArray
from relik_training.data.examples import Example, read_examples
from relik_training.data.knowledge_records import Records
from relik_training.recipes.bundle_settings import write_toml
from relik_training.recipes.recipe import CalibrationTraining
from relik_training.retriever.fusion import fit_logistic
from relik_training.run.progress import told

GRID = np.round(np.arange(0.02, 0.99, 0.01), 2)
"""Float64, (97,), ascending: calibrated scores that may be a threshold."""
_ROUNDING = 1e-9

# A document is one example here: the pipeline cuts it into windows itself.
_WHOLE = WindowConfig(size=10**9, stride=10**9)
_AT_ONCE = 32
_EPSILON = 1e-6
# However little a score says, a higher one must stay the higher one.
_LEAST_SCALE = 0.05

BoolArray = NDArray[np.bool_]


def weigh_ends(annotation: Annotation, scale: float, shift: float, weight: float) -> Annotation:
    """Give triples the raw scores that a calibration with `triple_ends` starts from.

    Args:
        annotation: With raw scores.
        scale: Of the calibration of spans.
        shift: Likewise.
        weight: As `CalibrationConfig.triple_ends`.

    Returns:
        The same with other scores of triples.
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


def rates(kept: BoolArray, correct: BoolArray, n_gold: int) -> tuple[float, float, float]:
    """Give what is told of some predictions.

    Args:
        kept: Bool, (n,), which are told.
        correct: Bool, (n,), which are right.
        n_gold: How many there are to find.

    Returns:
        Precision, recall and F1; 0 where there is nothing to divide by.
    """
    right = int((correct & kept).sum())
    precision = right / max(1, int(kept.sum()))
    recall = right / max(1, n_gold)
    return precision, recall, 2 * precision * recall / max(precision + recall, _ROUNDING)


def seen(floor: float, scale: float, shift: float) -> BoolArray:
    """Tell at which thresholds all predictions that pass were looked at.

    Of ten texts the best F1 may be that of all that were looked at, and a flat scaling puts these
    far above the lowest threshold, which would let through what nobody judged.

    Args:
        floor: Raw score from which on predictions were looked at, 0..1; 0 where all were.
        scale: As `CalibrationConfig`.
        shift: As `CalibrationConfig`.

    Returns:
        Bool, (97,), for each of `GRID`; the last is always true.
    """
    lowest = calibrated(floor, scale, shift) if floor > 0 else -math.inf
    return np.asarray(min(lowest, GRID[-1]) <= GRID)


@dataclass(frozen=True, slots=True, kw_only=True)
class DevelopmentTexts:
    """Where development texts are read from.

    Args:
        data: Folder of the data sets.
        titles: File of page titles, relative to `data`, or empty.
        entities: Records of entities.
    """

    data: Path
    titles: str
    entities: Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Predictions that the development set can judge.

    Args:
        scores: Float32, (n,), raw scores, 0..1.
        correct: Bool, (n,).
        n_gold: What should have been found.
    """

    scores: FloatArray
    correct: BoolArray
    n_gold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Platt scaling of one sort of prediction.

    Args:
        scale: Multiplies the log-odds.
        shift: Added to them.
        threshold: Calibrated score from which on predictions are kept, 0..1.
        report: Figures for the manifest.
    """

    scale: float
    shift: float
    threshold: float
    report: dict[str, object] = field(default_factory=dict)


def fit_platt(raw: FloatArray, correct: BoolArray) -> tuple[float, float]:
    """Fit `sigmoid(scale * logit(raw) + shift)` to what turned out to be correct.

    Args:
        raw: Float32, (n,), 0..1.
        correct: Bool, (n,).

    Returns:
        Scale, positive, and shift; 1 and 0 where there is nothing to fit.
    """
    right = int(correct.sum())
    wrong = len(correct) - right
    if not len(correct):
        return 1.0, 0.0
    targets = np.where(correct, (right + 1) / (right + 2), 1 / (wrong + 2)).astype(np.float32)
    weights, shift = fit_logistic(_logit(raw)[:, None], targets)
    scale = float(weights[0])
    if scale < _LEAST_SCALE:
        share = float(targets.mean())
        scale = _LEAST_SCALE
        shift = float(np.log(share / (1 - share)) - scale * _logit(raw).mean())
    return scale, shift


def expected_calibration_error(scores: FloatArray, correct: BoolArray, bins: int = 10) -> float:
    """Measure how far scores are from the share that is correct.

    Args:
        scores: Float32, (n,), 0..1.
        correct: Bool, (n,).
        bins: Bins of equal width.

    Returns:
        Mean over predictions of |mean score - share correct| of their bin, 0..1.
    """
    if not len(scores):
        return 0.0
    bin_of = np.minimum((scores * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(bin_of, weights=scores.astype(np.float64) - correct, minlength=bins)
    return float(np.abs(gaps).sum() / len(scores))


def judge_spans(example: Example, annotation: Annotation) -> list[tuple[float, bool]]:
    """Tell which linked spans are correct, where the example can tell.

    Args:
        example: A whole document.
        annotation: What was found in it.

    Returns:
        Score and whether span and id are those of a gold mention, for every linked span that
        touches neither unlabelled text that may be a mention nor a mention without a link.
    """
    gold = {mention.span: mention.entity_id for mention in example.mentions}
    untold = [*example.unknown, *(m.span for m in example.mentions if m.entity_id == "")]
    return [
        (found.score, gold.get(found.span) == found.entity_id)
        for found in annotation.spans
        if found.entity_id is not None and not any(found.span.overlaps(span) for span in untold)
    ]


def judge_triples(
    example: Example, annotation: Annotation, *, least: float
) -> list[tuple[float, bool]]:
    """Tell which triples are correct, where the example can tell.

    Args:
        example: A whole document whose relations are annotated.
        annotation: What was found in it.
        least: Raw score from which on spans are kept, 0..1.

    Returns:
        Score and whether boundaries and relation are those of a gold triple. Where only some
        relations are annotated, a pair is left out unless it has a gold triple or both its ends
        are gold mentions.
    """
    kept = {found.span for found in annotation.spans if found.score >= least}
    gold = _gold_triples(example)
    related = {(subject, obj) for subject, _, obj in gold}
    named = {mention.span for mention in example.mentions}
    judged = []
    for triple in annotation.triples:
        pair = (triple.subject, triple.object)
        told = example.relations == "all" or pair in related or named.issuperset(pair)
        if told and kept.issuperset(pair):
            right = (triple.subject, triple.relation_id, triple.object) in gold
            judged.append((triple.score, right))
    return judged


def calibrate(
    folder: Path,
    config: CalibrationTraining,
    texts: DevelopmentTexts,
    *,
    chosen: tuple[float | None, float | None] = (None, None),
) -> dict[str, object]:
    """Fit calibration and thresholds, and write them into a bundle.

    Replaces `pipeline.toml` and seals the manifest anew, with the figures under `metrics`.

    Args:
        folder: A sealed bundle; an earlier calibration is forgotten.
        config: What to calibrate on.
        texts: Where it is read from.
        chosen: Thresholds of spans and triples that are not to be fitted.

    Returns:
        Figures of `spans` and `triples`: scale, shift, threshold, calibration error before and
        after, precision, recall and F1 at the threshold.

    Raises:
        InputError: There are no development texts.
    """
    examples = _read(config, texts)
    if not examples:
        raise InputError("got no development texts to calibrate on: name some in [calibration]")
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
    fitted = replace(
        plain,
        reader=replace(
            plain.reader, threshold=spans.threshold, relation_threshold=triples.threshold
        ),
        calibration=CalibrationConfig(
            span_scale=spans.scale,
            span_shift=spans.shift,
            triple_scale=triples.scale,
            triple_shift=triples.shift,
            triple_ends=ends,
        ),
    )
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


def fit_scores(
    judged: Judged,
    precision: float,
    *,
    slack: float = 0.0,
    fixed: float | None = None,
    halved: bool = False,
    floor: float = 0.0,
) -> Fitted:
    """Fit scaling and threshold of one sort of prediction.

    Args:
        judged: Predictions with raw scores.
        precision: For which precision a second threshold is reported, 0..1.
        slack: By how much F1 may be below the best, for a lower threshold; below 0, for a higher
            one.
        fixed: The threshold, whatever F1 is there; None chooses it.
        halved: Takes half of the best F1 for the threshold, which is where the best one lies for
            scores that mean what they say (Lipton et al. 2014, theorem 1), however ragged the
            curve of few predictions; `slack` has no say then.
        floor: Raw score from which on predictions were looked at, as for `seen`.

    Returns:
        What was fitted, with its figures.
    """
    scale, shift = (round(value, 4) for value in fit_platt(judged.scores, judged.correct))
    odds = scale * _logit(judged.scores) + shift
    scores = (1 / (1 + np.exp(-odds))).astype(np.float32)
    over = seen(floor, scale, shift)
    curve = [
        rates((scores >= least) & whole, judged.correct, judged.n_gold)
        for least, whole in zip(GRID, over, strict=True)
    ]
    top = max(rate[2] for rate in curve)
    # Without a prediction there is nothing to choose by.
    near = [i for i, rate in enumerate(curve) if over[i] and rate[2] >= top - abs(slack)]
    if halved or fixed is not None:
        near = [int(np.abs(GRID - (top / 2 if fixed is None else fixed)).argmin())]
    best = near[-1 if slack < 0 else 0] if len(scores) else None
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


def _read(config: CalibrationTraining, texts: DevelopmentTexts) -> list[Example]:
    return read_examples(
        [replace(source, limit=config.limit or source.limit) for source in config.sources],
        data=texts.data,
        titles=texts.titles,
        entities=texts.entities,
        windows=_WHOLE,
    )


def _annotate(
    pipeline: Pipeline, examples: Sequence[Example], config: CalibrationTraining
) -> list[Annotation]:
    options = AnnotateOptions(
        threshold=config.threshold, relation_threshold=config.relation_threshold, nil=True
    )
    found: list[Annotation] = []
    with told() as tell:
        for first in range(0, len(examples), _AT_ONCE):
            part = examples[first : first + _AT_ONCE]
            documents = [Document(doc_id=example.doc_id, text=example.text) for example in part]
            found.extend(pipeline.annotate(documents, options=options))
            tell("development texts", len(found), len(examples))
    return found


def _judged_spans(examples: Sequence[Example], annotations: Sequence[Annotation]) -> Judged:
    judged: list[tuple[float, bool]] = []
    n_gold = 0
    for example, annotation in zip(examples, annotations, strict=True):
        judged.extend(judge_spans(example, annotation))
        n_gold += sum(bool(mention.entity_id) for mention in example.mentions)
    return _gathered(judged, n_gold)


def _judged_triples(
    examples: Sequence[Example], annotations: Sequence[Annotation], least: float
) -> Judged:
    judged: list[tuple[float, bool]] = []
    n_gold = 0
    for example, annotation in zip(examples, annotations, strict=True):
        if example.relations != "none":
            judged.extend(judge_triples(example, annotation, least=least))
            n_gold += len(_gold_triples(example))
    return _gathered(judged, n_gold)


def choose_ends(
    examples: Sequence[Example],
    annotations: Sequence[Annotation],
    spans: Fitted,
    weights: Sequence[float],
) -> tuple[float, Judged]:
    """Choose how much the doubt about ends counts: by the log loss of what it leaves to fit.

    Args:
        examples: Whole documents.
        annotations: What was found in each, with raw scores.
        spans: Calibration of spans.
        weights: Weights to try beside none.

    Returns:
        The weight, and the triples that can be judged with scores that have it.
    """
    tried = []
    for weight in sorted({0.0, *weights}):
        weighed = [weigh_ends(each, spans.scale, spans.shift, weight) for each in annotations]
        judged = _judged_triples(examples, weighed, _raw(spans))
        scale, shift = fit_platt(judged.scores, judged.correct)
        odds = scale * _logit(judged.scores) + shift
        loss = np.logaddexp(0.0, np.where(judged.correct, -odds, odds)).mean() if len(odds) else 0.0
        tried.append((float(loss), weight, judged))
    _, weight, judged = min(tried, key=lambda each: each[:2])
    return weight, judged


def _gathered(judged: Sequence[tuple[float, bool]], n_gold: int) -> Judged:
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


def _raw(fitted: Fitted) -> float:
    odds = (np.log(fitted.threshold / (1 - fitted.threshold)) - fitted.shift) / fitted.scale
    return float(1 / (1 + np.exp(-odds)))
