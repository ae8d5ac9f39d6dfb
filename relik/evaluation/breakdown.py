"""Figures by group: entities by type and by how often they are linked, triples by relation."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from relik.evaluation.answers import Answer
from relik.evaluation.counts import found_triples, gold_triples
from relik.evaluation.metrics import Counts
from relik.evaluation.taxonomy import NOT_JUDGED, RIGHT, JudgedDocument
from relik.types import Entity

UNTYPED = "(none)"
FREQUENCIES = {"0": 0, "1-9": 1, "10-99": 10, "100+": 100}
"""Groups of entities by number of links in the text that was counted, with their lower bounds."""


class Records(Protocol):
    """The methods of a knowledge base that a breakdown calls."""

    def row_of(self, entity_id: str) -> int | None:
        """Return the row of a record, or None."""

    def record(self, row: int) -> Entity:
        """Return a record."""

    def count(self, row: int) -> int:
        """Return how often a record is linked."""


def by_type(documents: Sequence[JudgedDocument], records: Records) -> dict[str, dict[str, float]]:
    """Rate linked mentions for each type of entity.

    A gold mention counts for each type of its entity, a prediction for each type of the predicted
    entity.

    Returns:
        `rate` by type, most gold mentions first; entities without a type are `(none)`.
    """

    def types(entity_id: str) -> Sequence[str]:
        row = records.row_of(entity_id)
        return sorted(set(() if row is None else records.record(row).types)) or [UNTYPED]

    return _largest_first(_entity_groups(documents, types))


def by_frequency(
    documents: Sequence[JudgedDocument], records: Records
) -> dict[str, dict[str, float]]:
    """Rate linked mentions by the number of links to their entity.

    Returns:
        `rate` by group of `FREQUENCIES`, in that order. A prediction counts in the group of the
        predicted entity.
    """

    def frequency(entity_id: str) -> Sequence[str]:
        row = records.row_of(entity_id)
        count = 0 if row is None else records.count(row)
        return [
            max((g for g in FREQUENCIES if FREQUENCIES[g] <= count), key=FREQUENCIES.__getitem__)
        ]

    groups = _entity_groups(documents, frequency)
    return {group: rate(groups.get(group, Counts())) for group in FREQUENCIES}


def by_relation(answers: Sequence[Answer], *, entity_ids: bool) -> dict[str, dict[str, float]]:
    """Rate triples for each relation that is in gold or was predicted.

    Returns:
        `rate` by relation id, most gold triples first.
    """
    gold, found, right = (defaultdict[str, int](int) for _ in range(3))
    for answer in answers:
        wanted = gold_triples(answer.gold, entity_ids=entity_ids).keys()
        got = found_triples(answer.annotation, entity_ids=entity_ids).keys()
        for table, triples in ((gold, wanted), (found, got), (right, wanted & got)):
            for _, relation_id, _ in triples:
                table[relation_id] += 1
    return _largest_first(_group_counts(gold, found, right))


def rate(counts: Counts) -> dict[str, float]:
    """Return the figures of a group.

    Returns:
        `support`, the gold items; `precision`, `recall`, `f1`, 0..1 and 0.0 where undefined.
    """
    support, predicted = counts.right + counts.missed, counts.right + counts.wrong
    return {
        "support": support,
        "precision": _share(counts.right, predicted),
        "recall": _share(counts.right, support),
        "f1": _share(2 * counts.right, support + predicted),
    }


def _entity_groups(
    documents: Sequence[JudgedDocument], groups_of: Callable[[str], Iterable[str]]
) -> dict[str, Counts]:
    gold, found, right = (defaultdict[str, int](int) for _ in range(3))
    for document in documents:
        for mention in document.mentions:
            for group in groups_of(mention.entity_id):
                gold[group] += 1
                right[group] += mention.verdict == RIGHT
        for prediction in document.predictions:
            if prediction.verdict != NOT_JUDGED:
                for group in groups_of(prediction.entity_id):
                    found[group] += 1
    return _group_counts(gold, found, right)


def _group_counts(
    gold: Mapping[str, int], found: Mapping[str, int], right: Mapping[str, int]
) -> dict[str, Counts]:
    counts = {}
    for group in sorted({*gold, *found}):
        hits = right.get(group, 0)
        counts[group] = Counts(
            right=hits, wrong=found.get(group, 0) - hits, missed=gold.get(group, 0) - hits
        )
    return counts


def _largest_first(groups: Mapping[str, Counts]) -> dict[str, dict[str, float]]:
    rated = {group: rate(counts) for group, counts in groups.items()}
    return dict(sorted(rated.items(), key=lambda item: (-item[1]["support"], item[0])))


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
