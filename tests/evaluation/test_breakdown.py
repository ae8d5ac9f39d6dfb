"""Figures by group, counted by hand."""

from hypothesis import given
from hypothesis import strategies as st

from relik.evaluation import GoldDocument, GoldMention, GoldTriple
from relik.evaluation.answers import Answer, Proposed
from relik.evaluation.breakdown import UNTYPED, by_frequency, by_relation, by_type, rate
from relik.evaluation.metrics import Counts, precision_recall_f1
from relik.evaluation.taxonomy import JudgedDocument, judge
from relik.testing import FakeKnowledgeBase
from relik.types import Annotation, Coverage, Document, Entity, EntitySpan, Span, Triple

TEXT = "Ada met Bob in Rome and Cy saw Dee"
ADA, BOB, ROME, CY, DEE = Span(0, 3), Span(8, 11), Span(15, 19), Span(24, 26), Span(31, 34)
RECORDS = FakeKnowledgeBase(
    [
        Entity(entity_id="QA", name="Ada", types=("person", "writer")),
        Entity(entity_id="QB", name="Bob", types=("person",)),
        Entity(entity_id="QR", name="Rome", types=("place",)),
        Entity(entity_id="QZ", name="Zed"),
    ],
    counts={("Ada", "QA"): 9, ("Bob", "QB"): 10, ("Rome", "QR"): 99, ("City", "QR"): 1},
)
Links = dict[Span, str | None]


def answer(gold: Links, found: Links, **triples: list[tuple[Span, str, Span]]) -> Answer:
    mention = {span: GoldMention(span=span, entity_id=q) for span, q in gold.items()}
    return Answer(
        gold=GoldDocument(
            document=Document(doc_id="d", text=TEXT),
            mentions=tuple(mention.values()),
            triples=tuple(
                GoldTriple(subject=mention[s], relation_id=r, object=mention[o])
                for s, r, o in triples.get("wanted", [])
            ),
        ),
        annotation=Annotation(
            doc_id="d",
            spans=tuple(EntitySpan(span=s, entity_id=q, score=0.9) for s, q in found.items()),
            triples=tuple(
                Triple(subject=s, relation_id=r, object=o, score=0.9)
                for s, r, o in triples.get("got", [])
            ),
            coverage=Coverage(characters=len(TEXT), windows=1),
        ),
    )


def judged(gold: Links, found: Links) -> JudgedDocument:
    return judge(answer(gold, found), Proposed(windows=(), candidates=()), known=RECORDS)


def rates(support: int, precision: float, recall: float, f1: float) -> dict[str, float]:
    return {"support": support, "precision": precision, "recall": recall, "f1": f1}


def test_types_of_gold_and_of_predictions_are_counted_apart() -> None:
    # Ada is right; Bob is taken for a place; Rome is missed; Dee cannot be judged.
    document = judged(
        {ADA: "QA", BOB: "QB", ROME: "QR", DEE: None}, {ADA: "QA", BOB: "QR", CY: "QZ", DEE: "QB"}
    )
    assert by_type([document], RECORDS) == {
        "person": rates(2, 1.0, 0.5, 0.6667),
        "place": rates(1, 0.0, 0.0, 0.0),
        "writer": rates(1, 1.0, 1.0, 1.0),
        UNTYPED: rates(0, 0.0, 0.0, 0.0),
    }


def test_frequencies_are_those_of_the_knowledge_base_in_fixed_order() -> None:
    document = judged(
        {ADA: "QA", BOB: "QB", ROME: "QR", CY: "QZ"}, {ADA: "QA", BOB: "QA", ROME: "QR"}
    )
    assert list(by_frequency([document], RECORDS).items()) == [
        ("0", rates(1, 0.0, 0.0, 0.0)),
        ("1-9", rates(1, 0.5, 1.0, 0.6667)),
        ("10-99", rates(1, 0.0, 0.0, 0.0)),
        ("100+", rates(1, 1.0, 1.0, 1.0)),
    ]
    assert list(by_frequency([], RECORDS)) == ["0", "1-9", "10-99", "100+"]


def test_relations_stand_in_the_order_of_their_support() -> None:
    spans: Links = {ADA: "QA", BOB: "QB", ROME: "QR"}
    one = answer(
        spans,
        {ADA: "QB", BOB: "QB", ROME: "QR"},
        wanted=[(ADA, "P1", BOB), (ADA, "P2", ROME), (BOB, "P2", ROME)],
        got=[(ADA, "P1", BOB), (ADA, "P2", ROME), (ADA, "P9", ROME)],
    )
    assert list(by_relation([one], entity_ids=False).items()) == [
        ("P2", rates(2, 1.0, 0.5, 0.6667)),
        ("P1", rates(1, 1.0, 1.0, 1.0)),
        ("P9", rates(0, 0.0, 0.0, 0.0)),
    ]
    # By ids Ada is Bob: of what was found only (Bob, P2, Rome) is gold.
    by_ids = by_relation([one], entity_ids=True)
    assert by_ids["P2"] == rates(2, 1.0, 0.5, 0.6667)
    assert by_ids["P1"] == rates(1, 0.0, 0.0, 0.0)


@given(counts=st.builds(Counts, **{k: st.integers(0, 5) for k in ("right", "wrong", "missed")}))
def test_a_group_is_rated_like_the_whole(counts: Counts) -> None:
    whole = precision_recall_f1([counts])
    rated = rate(counts)
    assert rated.pop("support") == counts.right + counts.missed
    assert rated == {name: whole[name] for name in ("precision", "recall", "f1")}
