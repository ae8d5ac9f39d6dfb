"""Calibration: the share of predictions that is right, by score."""

from collections.abc import Sequence
from dataclasses import dataclass

from relik.evaluation.answers import Answer
from relik.evaluation.counts import found_triples, gold_triples
from relik.evaluation.taxonomy import NOT_JUDGED, RIGHT, JudgedDocument

BINS = 10

Scored = tuple[float, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Predictions with scores in one tenth of the scale.

    Args:
        low: Least score, inclusive.
        high: Greatest score, exclusive except for 1.
        mean_score: 0..1; 0.0 in an empty bin.
        share_right: 0..1; 0.0 in an empty bin.
    """

    low: float
    high: float
    count: int
    mean_score: float
    share_right: float


def scored_mentions(documents: Sequence[JudgedDocument]) -> list[Scored]:
    """Return score and correctness of every linked mention that can be judged."""
    return [
        (found.score, found.verdict == RIGHT)
        for each in documents
        for found in (*each.predictions, *each.rejected)
        if found.verdict != NOT_JUDGED
    ]


def scored_triples(answers: Sequence[Answer], *, entity_ids: bool) -> list[Scored]:
    """Return score and correctness of every triple."""
    scored: list[Scored] = []
    for answer in answers:
        wanted = gold_triples(answer.gold, entity_ids=entity_ids)
        found = found_triples(answer.annotation, entity_ids=entity_ids)
        scored += [(triple.score, key in wanted) for key, triple in found.items()]
    return scored


def reliability(scored: Sequence[Scored]) -> tuple[Bin, ...]:
    """Sort predictions into ten bins of equal width, lowest scores first."""
    members: list[list[Scored]] = [[] for _ in range(BINS)]
    for score, right in scored:
        members[min(int(score * BINS), BINS - 1)].append((score, right))
    return tuple(
        Bin(
            low=i / BINS,
            high=(i + 1) / BINS,
            count=len(inside),
            mean_score=sum(score for score, _ in inside) / len(inside) if inside else 0.0,
            share_right=sum(right for _, right in inside) / len(inside) if inside else 0.0,
        )
        for i, inside in enumerate(members)
    )


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Return the mean over predictions of |mean score - share right| of their bin, 0..1."""
    total = sum(each.count for each in bins)
    gaps = sum(each.count * abs(each.mean_score - each.share_right) for each in bins)
    return gaps / total if total else 0.0
