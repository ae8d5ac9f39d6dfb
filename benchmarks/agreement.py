"""Tells how far answers to the same texts agree."""

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

Answer: TypeAlias = dict[str, Any]
Place: TypeAlias = tuple[int, int]


def agreement(upstream: list[Answer], ours: list[Answer]) -> dict[str, float]:
    """Compare answers as `relik_worker` writes them.

    In a place with several labels upstream gives an end of a triplet the one that comes first in
    a Python set, which changes from process to process. Such an end is compared by its place
    alone, as `upstream_parity` does; "triplets_as_labelled" compares it by its label too.

    Args:
        upstream: Upstream's answers.
        ours: Ours to the same texts.

    Returns:
        "spans", "triplets" and "triplets_as_labelled": of all that either gave, the share that
        both gave, 0..1; 1 where neither gave any.
    """
    pairs = [
        (theirs, mine, _places_of_several(theirs))
        for theirs, mine in zip(upstream, ours, strict=True)
    ]

    def share(keys: Callable[[Answer, set[Place]], set[Any]]) -> float:
        found = [(keys(a, several), keys(b, several)) for a, b, several in pairs]
        either = sum(len(a | b) for a, b in found)
        both = sum(len(a & b) for a, b in found)
        return round(both / either, 4) if either else 1.0

    return {
        "spans": share(lambda answer, _: {tuple(span) for span in answer["spans"]}),
        "triplets": share(_triplets),
        "triplets_as_labelled": share(lambda answer, _: _triplets(answer, set())),
    }


def _triplets(answer: Answer, several: set[Place]) -> set[Any]:
    # Upstream gives two decimals.
    return {
        (_end(subject, several), relation, _end(object_, several), round(confidence, 2))
        for subject, relation, object_, confidence in answer["triplets"]
    }


def _end(span: list[Any], several: set[Place]) -> tuple[int, int, str | None]:
    start, end, label = span
    return start, end, None if (start, end) in several else label


def _places_of_several(answer: Answer) -> set[Place]:
    """Find the places that have several labels."""
    counts = Counter((start, end) for start, end, _ in answer["spans"])
    return {place for place, count in counts.items() if count > 1}
