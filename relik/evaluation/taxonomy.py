"""Error taxonomy: one verdict for each gold mention in the knowledge base and each linked mention.

Verdicts are tested in a fixed order and the first that holds counts, so exactly one applies.
"""

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass

from relik.evaluation.answers import Answer, Proposed
from relik.evaluation.counts import contains, known_mentions, unjudged_spans
from relik.types import EntitySpan, Span

RIGHT = "right"
BELOW_THRESHOLD = "below_threshold"
RETRIEVAL_MISSED = "retrieval_missed"
NIL_PREDICTED = "nil_predicted"
WRONG_ENTITY = "wrong_entity"
SPAN_PARTIAL = "span_partial"
SPAN_NOT_FOUND = "span_not_found"
NOT_JUDGED = "not_judged"
SPURIOUS_PARTIAL = "spurious_partial"
SPURIOUS = "spurious"

GOLD_VERDICTS = {
    RIGHT: "boundaries and id are right",
    BELOW_THRESHOLD: "right, but its score is under the threshold",
    RETRIEVAL_MISSED: "mention found; the id is not among the candidates of its window",
    NIL_PREDICTED: "mention found; the id was a candidate, and NIL was chosen",
    WRONG_ENTITY: "mention found; the id was a candidate, and another was chosen",
    SPAN_PARTIAL: "found with other boundaries",
    SPAN_NOT_FOUND: "not found at all",
}
"""Verdicts on a gold mention whose id is in the knowledge base, and their meaning."""

PREDICTION_VERDICTS = {
    RIGHT: "boundaries and id are right",
    NOT_JUDGED: "overlaps a gold mention of no known id: neither right nor wrong",
    WRONG_ENTITY: "boundaries of a gold mention, but another id",
    SPURIOUS_PARTIAL: "overlaps a gold mention, with other boundaries",
    SPURIOUS: "no gold mention there",
}
"""Verdicts on a linked mention, and their meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A gold mention or a linked mention, and its verdict.

    Args:
        score: Of a linked mention, 0..1; 1.0 of gold.
        verdict: A key of `GOLD_VERDICTS` or of `PREDICTION_VERDICTS`.
    """

    span: Span
    entity_id: str
    score: float = 1.0
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedDocument:
    """An answer and the verdicts on it.

    Args:
        mentions: Every gold mention whose id is known, once, by position and id.
        predictions: Every linked mention of the answer, by position.
        rejected: Linked mentions below the threshold, judged as if they were in the answer.
    """

    answer: Answer
    mentions: tuple[Judged, ...]
    predictions: tuple[Judged, ...]
    rejected: tuple[Judged, ...]


def judge(answer: Answer, proposed: Proposed, *, known: Container[str]) -> JudgedDocument:
    """Judge each gold mention and each prediction of a document."""
    wanted = known_mentions(answer.gold, known)
    unjudged = unjudged_spans(answer.gold, known)
    found = {each.span: each.entity_id for each in answer.annotation.spans}
    rejected = {(each.span, each.entity_id) for each in answer.rejected}

    def verdict(span: Span, entity_id: str) -> str:
        if found.get(span) == entity_id:
            return RIGHT
        if (span, entity_id) in rejected:
            return BELOW_THRESHOLD
        if span not in found:
            return SPAN_PARTIAL if any(span.overlaps(each) for each in found) else SPAN_NOT_FOUND
        if not _was_candidate(span, entity_id, proposed):
            return RETRIEVAL_MISSED
        return NIL_PREDICTED if found[span] is None else WRONG_ENTITY

    return JudgedDocument(
        answer=answer,
        mentions=tuple(
            Judged(span=span, entity_id=entity_id, verdict=verdict(span, entity_id))
            for span, entity_id in sorted(wanted)
        ),
        predictions=_judge_predictions(answer.annotation.spans, wanted, unjudged),
        rejected=_judge_predictions(answer.rejected, wanted, unjudged),
    )


def taxonomy(documents: Sequence[JudgedDocument]) -> dict[str, object]:
    """Count the verdicts over documents.

    Returns:
        Under `gold` and `predictions` for each verdict `count` and `share`, 0..1 and 0.0 of none.
    """
    gold = Counter(mention.verdict for each in documents for mention in each.mentions)
    predictions = Counter(found.verdict for each in documents for found in each.predictions)
    return {
        "gold": _tally(gold, tuple(GOLD_VERDICTS)),
        "predictions": _tally(predictions, tuple(PREDICTION_VERDICTS)),
    }


def _was_candidate(span: Span, entity_id: str, proposed: Proposed) -> bool:
    """Search the windows that contain a mention, or if none does those that overlap it."""
    windows = proposed.windows
    within = [i for i, window in enumerate(windows) if contains(window.span, span)]
    within = within or [i for i, window in enumerate(windows) if window.span.overlaps(span)]
    return any(
        candidate.entity_id == entity_id
        for i in within
        for candidate in proposed.candidates[i].entities
    )


def _judge_predictions(
    spans: Sequence[EntitySpan], wanted: set[tuple[Span, str]], unjudged: Sequence[Span]
) -> tuple[Judged, ...]:
    places = {span for span, _ in wanted}
    return tuple(
        Judged(
            span=found.span,
            entity_id=found.entity_id,
            score=found.score,
            verdict=_prediction_verdict(
                found.span, (found.span, found.entity_id) in wanted, places, unjudged
            ),
        )
        for found in spans
        if found.entity_id is not None
    )


def _prediction_verdict(
    span: Span, right: bool, places: set[Span], unjudged: Sequence[Span]
) -> str:
    if right:
        return RIGHT
    if any(span.overlaps(other) for other in unjudged):
        return NOT_JUDGED
    if span in places:
        return WRONG_ENTITY
    return SPURIOUS_PARTIAL if any(span.overlaps(other) for other in places) else SPURIOUS


def _tally(counts: Counter[str], verdicts: Sequence[str]) -> dict[str, dict[str, float]]:
    total = sum(counts.values())
    return {
        verdict: {
            "count": counts[verdict],
            "share": round(counts[verdict] / total, 4) if total else 0.0,
        }
        for verdict in verdicts
    }
