"""Relations of given pairs, counted by hand."""

from collections.abc import Sequence

from relik.evaluation import (
    GoldDocument,
    GoldMention,
    GoldTriple,
    Wanted,
    analyse_relations,
    with_candidates_only,
)
from relik.types import Candidate, Document, MentionPair, Span

ADA = GoldMention(span=Span(0, 3), entity_id=None)
BOB = GoldMention(span=Span(8, 11), entity_id=None)
SCORES = {"P1": 0.7, "P2": 0.2, "P3": 0.1}


class Canned:
    """Ranks relations the same for every pair, but for those of one document."""

    def __init__(self, **exceptions: dict[str, float]) -> None:
        self.asked: list[tuple[MentionPair, ...]] = []
        self._exceptions = exceptions

    def relate(
        self,
        documents: Sequence[Document],
        pairs: Sequence[Sequence[MentionPair]],
        *,
        relations: Sequence[str],
    ) -> list[list[tuple[Candidate, ...]]]:
        """Give all relations, best first."""
        self.asked += map(tuple, pairs)
        answers = []
        for document, own in zip(documents, pairs, strict=True):
            scores = self._exceptions.get(document.doc_id, SCORES)
            ranked = sorted(relations, key=lambda one: -scores[one])
            found = tuple(
                Candidate(entity_id=one, score=scores[one], rank=rank, source="dense")
                for rank, one in enumerate(ranked)
            )
            answers.append([found for _ in own])
        return answers


def gold(doc_id: str, *triples: tuple[GoldMention, str, GoldMention]) -> GoldDocument:
    return GoldDocument(
        document=Document(doc_id=doc_id, text="Ada met Bob"),
        mentions=(ADA, BOB),
        triples=tuple(GoldTriple(subject=s, relation_id=r, object=o) for s, r, o in triples),
    )


def rated(relater: Canned, *documents: GoldDocument, threshold: float = 0.0) -> dict[str, object]:
    found = analyse_relations(
        relater, documents, candidates=["P2", "P3", "P1"], threshold=threshold
    )
    figures = found.figures["relations"]
    assert isinstance(figures, dict)
    return figures


def test_all_figures_are_the_accuracy_where_every_pair_has_an_answer() -> None:
    wrong = gold("a", (ADA, "P2", BOB))
    figures = rated(Canned(), gold("b", (ADA, "P1", BOB)), gold("c", (BOB, "P1", ADA)), wrong)
    assert (figures["precision"], figures["recall"], figures["f1"]) == (0.6667,) * 3
    assert figures["counts"] == {"right": 2, "wrong": 1, "missed": 1}
    # P1 has precision 2/3 and recall 1; P2 was never chosen.
    assert figures["macro_f1"] == 0.4


def test_only_the_ordered_pairs_of_gold_are_asked() -> None:
    relater = Canned()
    rated(relater, gold("a", (BOB, "P1", ADA)), gold("b", (ADA, "P1", BOB), (ADA, "P2", BOB)))
    there = MentionPair(subject=ADA.span, object=BOB.span)
    assert relater.asked == [(MentionPair(subject=BOB.span, object=ADA.span),), (there,)]


def test_a_pair_of_several_relations_is_right_with_any_of_them() -> None:
    figures = rated(Canned(), gold("a", (ADA, "P3", BOB), (ADA, "P1", BOB)))
    assert figures["counts"] == {"right": 1, "wrong": 0, "missed": 0}


def test_a_pair_below_the_threshold_is_missed() -> None:
    unsure = Canned(b={"P1": 0.4, "P2": 0.35, "P3": 0.25})
    figures = rated(unsure, gold("a", (ADA, "P1", BOB)), gold("b", (ADA, "P1", BOB)), threshold=0.5)
    assert (figures["precision"], figures["recall"], figures["f1"]) == (1.0, 0.5, 0.6667)


def test_each_relation_is_rated_under_its_name_where_asked() -> None:
    found = analyse_relations(
        Canned(),
        [gold("a", (ADA, "P1", BOB)), gold("b", (ADA, "P2", BOB))],
        candidates=["P1", "P2"],
        name_of=lambda one: {"P1": "knows"}.get(one, ""),
        wanted=Wanted(breakdown=True),
    )
    breakdown = found.figures["breakdown"]
    assert isinstance(breakdown, dict)
    groups = breakdown["relations"]
    assert (groups["P1"]["name"], groups["P1"]["recall"]) == ("knows", 1.0)
    assert (groups["P2"]["name"], groups["P2"]["recall"]) == (None, 0.0)
    assert found.figures["candidates"] == ["P1", "P2"]


def test_documents_and_triples_of_other_relations_are_left_out() -> None:
    both = gold("a", (ADA, "P1", BOB), (BOB, "P9", ADA))
    kept = with_candidates_only([both, gold("b", (ADA, "P9", BOB)), gold("c")], {"P1"})
    assert [each.document.doc_id for each in kept] == ["a"]
    assert [triple.relation_id for triple in kept[0].triples] == ["P1"]
