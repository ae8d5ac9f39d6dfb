"""Figures by group: entities by type and by how often they are linked, triples by relation."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from itertools import chain
from typing import Protocol, TypeAlias, TypeVar

from relik.evaluation.answers import Answer
from relik.evaluation.counts import TripleKey, found_triples, gold_triples
from relik.evaluation.metrics import Counts
from relik.evaluation.taxonomy import NOT_JUDGED, JudgedDocument
from relik.names.resolve import Knowledge
from relik.types import Entity, Span

T = TypeVar("T")
Facts: TypeAlias = Sequence[tuple[Set[T], Set[T]]]
"""Gold and predicted facts of each document."""

UNTYPED = "(none)"
FREQUENCIES = {"0": 0, "1-9": 1, "10-99": 10, "100+": 100}
"""Groups of entities by number of links in the text that was counted, with their lower bounds."""


class Records(Knowledge, Protocol):
    """The methods of a knowledge base that evaluation calls."""

    def entity_id(self, row: int) -> str:
        """Return the id of a row."""

    def record(self, row: int) -> Entity:
        """Return a record."""


def by_type(documents: Sequence[JudgedDocument], records: Records) -> dict[str, dict[str, float]]:
    """Rate linked mentions for each type of entity.

    A gold mention counts for each type of its entity, a prediction for each type of the predicted
    entity.

    Returns:
        `rate` by type, most gold mentions first; entities without a type are `(none)`.
    """

    def types(mention: tuple[Span, str]) -> Sequence[str]:
        row = records.row_of(mention[1])
        return sorted(set(() if row is None else records.record(row).types)) or [UNTYPED]

    return by_group(_entity_facts(documents), types)


def by_frequency(
    documents: Sequence[JudgedDocument], records: Records
) -> dict[str, dict[str, float]]:
    """Rate linked mentions by the number of links to their entity.

    Returns:
        `rate` by group of `FREQUENCIES`, in that order. A prediction counts in the group of the
        predicted entity.
    """

    def frequency(mention: tuple[Span, str]) -> Sequence[str]:
        row = records.row_of(mention[1])
        count = 0 if row is None else records.count(row)
        return [
            max((g for g in FREQUENCIES if FREQUENCIES[g] <= count), key=FREQUENCIES.__getitem__)
        ]

    groups = by_group(_entity_facts(documents), frequency)
    return {group: groups.get(group, rate(Counts())) for group in FREQUENCIES}


def by_relation(answers: Sequence[Answer], *, entity_ids: bool) -> dict[str, dict[str, float]]:
    """Rate triples for each relation that is in gold or was predicted.

    Returns:
        `rate` by relation id, most gold triples first.
    """
    return by_group(triple_facts(answers, entity_ids=entity_ids), relation_of)


def relation_of(triple: tuple[object, str, object]) -> tuple[str]:
    """Return the group of a triple: its relation."""
    return (triple[1],)


def triple_facts(answers: Sequence[Answer], *, entity_ids: bool) -> Facts[TripleKey]:
    """Return the triples of gold and those found, as of `gold_triples`, for each document."""
    return [
        (
            gold_triples(each.gold, entity_ids=entity_ids).keys(),
            found_triples(each.annotation, entity_ids=entity_ids).keys(),
        )
        for each in answers
    ]


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


def counts_of(documents: Facts[T]) -> list[Counts]:
    """Count predictions that are right and wrong and gold that is missed, per document."""
    return [
        Counts(right=len(want & got), wrong=len(got - want), missed=len(want - got))
        for want, got in documents
    ]


def by_group(
    documents: Facts[T], groups_of: Callable[[T], Iterable[str]]
) -> dict[str, dict[str, float]]:
    """Rate each group, those with most gold first; a fact counts in each group that it has."""
    right, wrong, missed = Counter[str](), Counter[str](), Counter[str]()
    for want, got in documents:
        for counter, facts in ((right, want & got), (wrong, got - want), (missed, want - got)):
            counter.update(chain.from_iterable(map(groups_of, facts)))
    rated = {
        group: rate(Counts(right=right[group], wrong=wrong[group], missed=missed[group]))
        for group in {*right, *wrong, *missed}
    }
    return dict(sorted(rated.items(), key=lambda item: (-item[1]["support"], item[0])))


def _entity_facts(documents: Sequence[JudgedDocument]) -> Facts[tuple[Span, str]]:
    return [
        (
            {(mention.span, mention.entity_id) for mention in each.mentions},
            {(p.span, p.entity_id) for p in each.predictions if p.verdict != NOT_JUDGED},
        )
        for each in documents
    ]


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
