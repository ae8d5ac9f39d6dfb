"""Links of a batch: which candidate, or NIL, each span means."""

from collections.abc import Sequence

import numpy as np

from relik.config import CalibrationConfig, ReaderConfig
from relik.reader.decode import (
    NIL_CLASS,
    DecodedSpan,
    ProposedSpan,
    calibrated,
    link_scores,
    without_overlaps,
)
from relik.reader.inputs import Row
from relik.reader.rules.batch_rules import BatchRules
from relik.types import Candidate, EntitySpan, FloatArray, Span

MAX_EXPLAINED = 5


def decode_links(
    proposed: Sequence[Sequence[ProposedSpan]],
    logits: FloatArray,
    entity_mask: np.ndarray,
    rules: BatchRules,
    *,
    config: ReaderConfig,
    least: float,
    nil: bool,
) -> list[list[DecodedSpan]]:
    """Link the spans of each row, and keep those that stand.

    Args:
        proposed: Spans of each row.
        logits: Float32, (n_spans of all rows, n_classes).
        entity_mask: Bool, (n_rows, n_classes), the classes of each row.
        rules: The rules over the batch.
        config: `drop_nil` and `max_spans`.
        least: Least raw score of a span that is kept, 0..1; given mentions all are.
        nil: Given mentions may be NIL.
    """
    decoded: list[list[DecodedSpan]] = []
    first = 0
    for i, (row, spans) in enumerate(zip(rules.rows, proposed, strict=True)):
        mask = entity_mask[i].copy()
        if row.given is not None and not nil and mask[NIL_CLASS + 1 :].any():
            mask[NIL_CLASS] = False
        weighed = rules.weighed_links(i, spans, logits[first : first + len(spans)])
        first += len(spans)
        scores = link_scores(weighed, mask)
        linked = [DecodedSpan(**span._asdict(), links=scores[k]) for k, span in enumerate(spans)]
        if row.given is None:
            linked = rules.settled(i, linked)
            if config.drop_nil:
                linked = [span for span in linked if span.best != NIL_CLASS]
            linked = without_overlaps(linked, most=config.max_spans, join=rules.join)
            # Only spans that will be kept are related to each other.
            linked = [span for span in linked if span.score >= least]
        decoded.append(linked)
    return decoded


def entity_span(
    row: Row,
    found: DecodedSpan,
    given: Span | None,
    calibration: CalibrationConfig,
    *,
    explain: bool,
) -> EntitySpan:
    """Turn a decoded span into one of the document, with a calibrated score.

    Args:
        row: Its row.
        found: The span.
        given: The mention, where it was given.
        calibration: How raw scores become probabilities.
        explain: Fill `EntitySpan.candidates`.
    """
    offset = row.window.span.start
    best = found.best
    span = given or Span(
        offset + int(row.text.starts[found.start - 1]), offset + int(row.text.ends[found.end - 1])
    )
    return EntitySpan(
        span=span,
        entity_id=None
        if best <= NIL_CLASS
        else row.candidates.entities[best - NIL_CLASS - 1].entity_id,
        score=calibrated(found.score, calibration.span_scale, calibration.span_shift),
        candidates=_weighed_candidates(row, found) if explain else (),
    )


def _weighed_candidates(row: Row, found: DecodedSpan) -> tuple[Candidate, ...]:
    n_read = len(row.built.entity_positions) - NIL_CLASS - 1
    scores = found.links[NIL_CLASS + 1 : NIL_CLASS + 1 + n_read]
    order = np.argsort(-scores, kind="stable")[:MAX_EXPLAINED]
    return tuple(
        Candidate(
            entity_id=row.candidates.entities[k].entity_id,
            score=float(scores[k]),
            rank=rank,
            source=row.candidates.entities[k].source,
        )
        for rank, k in enumerate(order)
    )
