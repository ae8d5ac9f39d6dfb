"""Agreement of two systems' answers to the same texts."""

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

Answer: TypeAlias = dict[str, Any]
Place: TypeAlias = tuple[int, int]


def agreement(upstream: list[Answer], ours: list[Answer]) -> dict[str, float]:
    """Compare answers in the format of `relik_worker`.

    For a span with several labels, upstream labels the end of a triplet by the first in a Python
    set, whose order changes from process to process. Such an end is compared by its offsets only,
    as in `upstream_parity`; "triplets_as_labelled" also compares its label.

    Returns:
        "spans", "triplets" and "triplets_as_labelled": the Jaccard index of the two sets, 0..1; 1
        if both are empty.
    """
    pairs = [
        (theirs, mine, _ambiguous_spans(theirs))
        for theirs, mine in zip(upstream, ours, strict=True)
    ]

    def share(keys: Callable[[Answer, set[Place]], set[Any]]) -> float:
        found = [(keys(a, ambiguous), keys(b, ambiguous)) for a, b, ambiguous in pairs]
        either = sum(len(a | b) for a, b in found)
        both = sum(len(a & b) for a, b in found)
        return round(both / either, 4) if either else 1.0

    return {
        "spans": share(lambda answer, _: {tuple(span) for span in answer["spans"]}),
        "triplets": share(_triplets),
        "triplets_as_labelled": share(lambda answer, _: _triplets(answer, set())),
    }


def _triplets(answer: Answer, ambiguous: set[Place]) -> set[Any]:
    # Upstream rounds to two decimals.
    return {
        (_end(subject, ambiguous), relation, _end(object_, ambiguous), round(confidence, 2))
        for subject, relation, object_, confidence in answer["triplets"]
    }


def _end(span: list[Any], ambiguous: set[Place]) -> tuple[int, int, str | None]:
    start, end, label = span
    return start, end, None if (start, end) in ambiguous else label


def _ambiguous_spans(answer: Answer) -> set[Place]:
    """Return the offsets of spans with several labels."""
    counts = Counter((start, end) for start, end, _ in answer["spans"])
    return {place for place, count in counts.items() if count > 1}
