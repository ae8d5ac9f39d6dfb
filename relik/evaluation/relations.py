"""Evaluation of zero-shot relation classification: one of m relations for each pair of mentions.

Source: the task of ZS-BERT (Chen and Li, NAACL 2021): the m relations of a test set, none of them
seen in training, are the candidates, and each pair gets one of them.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import replace
from typing import Protocol, TypeAlias

from relik.evaluation.analysis import Analysis, Wanted
from relik.evaluation.answers import chunks
from relik.evaluation.breakdown import by_group, counts_of, relation_of
from relik.evaluation.compare import match_ratios
from relik.evaluation.examples import NameOf
from relik.evaluation.gold import GoldDocument
from relik.evaluation.metrics import precision_recall_f1
from relik.evaluation.strict import macro_f1
from relik.types import Candidate, Document, MentionPair, Span

_Fact: TypeAlias = tuple[Span, str, Span]
_GoldPair: TypeAlias = tuple[MentionPair, list[str]]
"""A pair and its gold relations, sorted by id."""


class Relater(Protocol):
    """A system that ranks relations for pairs of mentions, such as `PairRelater`."""

    def relate(
        self,
        documents: Sequence[Document],
        pairs: Sequence[Sequence[MentionPair]],
        *,
        relations: Sequence[str],
    ) -> list[list[tuple[Candidate, ...]]]:
        """Rank relations for each pair of each document, best first."""


def with_candidates_only(gold: Sequence[GoldDocument], candidates: Set[str]) -> list[GoldDocument]:
    """Keep the triples of some relations, and the documents with at least one of them."""
    kept = (
        replace(each, triples=tuple(t for t in each.triples if t.relation_id in candidates))
        for each in gold
    )
    return [each for each in kept if each.triples]


def analyse_relations(
    relater: Relater,
    gold: Sequence[GoldDocument],
    *,
    candidates: Sequence[str],
    threshold: float = 0.0,
    name_of: NameOf = lambda _: "",
    wanted: Wanted | None = None,
) -> Analysis:
    """Classify the relation of each ordered pair that has one in gold.

    Args:
        threshold: Least score of an answer, 0..1; a pair without one is missed.

    Returns:
        `relations`, in the form of `precision_recall_f1`: a pair is right where its best candidate
        is in gold. At threshold 0 each pair has one answer, so that precision, recall and F1 equal
        the accuracy. Also `macro_f1`, the mean F1 over the relations in gold; `candidates`; and on
        request `breakdown` by `relations`.
    """
    facts: list[tuple[set[_Fact], set[_Fact]]] = []
    for part in chunks(gold):
        asked = [_gold_pairs(each) for each in part]
        found = relater.relate(
            [each.document for each in part],
            [[pair for pair, _ in own] for own in asked],
            relations=candidates,
        )
        facts += [
            _compare_facts(zip(own, ranked, strict=True), threshold)
            for own, ranked in zip(asked, found, strict=True)
        ]
    groups, counts = by_group(facts, relation_of), counts_of(facts)
    figures: dict[str, object] = {
        "relations": {**precision_recall_f1(counts), "macro_f1": macro_f1(groups)},
        "candidates": sorted(candidates),
    }
    if wanted is not None and wanted.breakdown:
        named = {key: {"name": name_of(key) or None, **each} for key, each in groups.items()}
        figures["breakdown"] = {"relations": named}
    return Analysis(figures=figures, ratios={"relations": match_ratios(counts)})


def _gold_pairs(gold: GoldDocument) -> list[_GoldPair]:
    of_pair: dict[tuple[Span, Span], set[str]] = {}
    for triple in gold.triples:
        pair = triple.subject.span, triple.object.span
        of_pair.setdefault(pair, set()).add(triple.relation_id)
    return [
        (MentionPair(subject=subject, object=object_), sorted(relations))
        for (subject, object_), relations in sorted(of_pair.items())
    ]


def _compare_facts(
    answers: Iterable[tuple[_GoldPair, tuple[Candidate, ...]]], threshold: float
) -> tuple[set[_Fact], set[_Fact]]:
    """Return the gold facts and the chosen facts of a document."""
    want: set[_Fact] = set()
    got: set[_Fact] = set()
    for (pair, relations), ranked in answers:
        best = ranked[0].entity_id if ranked and ranked[0].score >= threshold else None
        # A pair with several gold relations is right with any of them.
        right = best if best in relations else relations[0]
        want.add((pair.subject, right, pair.object))
        if best is not None:
            got.add((pair.subject, best, pair.object))
    return want, got
