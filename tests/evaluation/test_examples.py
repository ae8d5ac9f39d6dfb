from hypothesis import given
from hypothesis import strategies as st

from relik.evaluation import GoldDocument, GoldMention, GoldTriple
from relik.evaluation.answers import Answer, Proposed
from relik.evaluation.examples import (
    MISSED,
    WRONG,
    Example,
    entity_examples,
    excerpt,
    spread,
    triple_examples,
)
from relik.evaluation.taxonomy import (
    BELOW_THRESHOLD,
    SPAN_NOT_FOUND,
    SPAN_PARTIAL,
    SPURIOUS,
    judge,
)
from relik.types import Annotation, Coverage, Document, EntitySpan, Span, Triple

TEXT = "It rained. Ada met Bob in Rome, U.S. style! Cy saw Dee.\nThe end."
ADA, BOB, ROME, CY, DEE = Span(11, 14), Span(19, 22), Span(26, 30), Span(44, 46), Span(51, 54)
NAMES = {"QA": "Ada Lovelace", "QB": "Bob", "P1": "met"}


def name_of(record_id: str) -> str:
    return NAMES.get(record_id, "")


def answer(
    gold: dict[Span, str],
    found: dict[Span, tuple[str | None, float]],
    wanted: tuple[tuple[Span, str, Span], ...] = (),
    got: tuple[tuple[Span, str, Span], ...] = (),
) -> Answer:
    mentions = {span: GoldMention(span=span, entity_id=q) for span, q in gold.items()}
    spans = [EntitySpan(span=s, entity_id=q, score=score) for s, (q, score) in found.items()]
    return Answer(
        gold=GoldDocument(
            document=Document(doc_id="d", text=TEXT),
            mentions=tuple(mentions.values()),
            triples=tuple(
                GoldTriple(subject=mentions[s], relation_id=r, object=mentions[o])
                for s, r, o in wanted
            ),
        ),
        annotation=Annotation(
            doc_id="d",
            spans=tuple(each for each in spans if each.score >= 0.5),
            triples=tuple(
                Triple(subject=s, relation_id=r, object=o, score=0.75) for s, r, o in got
            ),
            coverage=Coverage(characters=len(TEXT), windows=1),
        ),
        rejected=tuple(each for each in spans if each.score < 0.5),
    )


def examples(gold: dict[Span, str], found: dict[Span, tuple[str | None, float]]) -> list[Example]:
    judged = judge(
        answer(gold, found), Proposed(windows=(), candidates=()), known={"QA", "QB", "QR"}
    )
    return entity_examples([judged], name_of)


def text_of(example: Example) -> str:
    return "".join(piece.text for piece in example.pieces)


def marked(example: Example) -> list[tuple[str, bool, bool]]:
    return [(p.text, p.gold, p.found) for p in example.pieces if p.gold or p.found]


def test_an_error_is_shown_in_its_sentence() -> None:
    (missed,) = examples({ROME: "QR"}, {})
    assert text_of(missed) == "Ada met Bob in Rome, U.S. style! "
    assert marked(missed) == [("Rome", True, False)]
    assert (missed.verdict, missed.gold, missed.found) == (SPAN_NOT_FOUND, "QR", "nothing")


def test_gold_and_prediction_are_marked_where_they_part() -> None:
    (partial,) = examples({ROME: "QR"}, {Span(23, 30): ("QA", 0.9)})
    assert marked(partial) == [("in ", False, True), ("Rome", True, True)]
    assert partial.verdict == SPAN_PARTIAL
    assert partial.found == "Ada Lovelace (QA), score 0.900"


def test_what_is_below_the_threshold_is_shown_with_its_score() -> None:
    (below,) = examples({ADA: "QA"}, {ADA: ("QA", 0.4), BOB: ("QB", 0.1)})
    assert (below.verdict, below.found) == (BELOW_THRESHOLD, "Ada Lovelace (QA), score 0.400")
    assert marked(below) == [("Ada", True, True)]


def test_a_prediction_without_gold_is_an_example_and_one_beside_gold_is_shown_once() -> None:
    (spurious,) = examples({ADA: "QA"}, {ADA: ("QA", 0.9), BOB: ("QB", 0.9), CY: (None, 0.9)})
    assert (spurious.verdict, spurious.gold) == (SPURIOUS, "nothing")
    assert marked(spurious) == [("Bob", False, True)]
    assert len(examples({ADA: "QA"}, {Span(11, 18): ("QA", 0.9)})) == 1


def test_triples_are_shown_with_both_ends_even_if_these_lie_apart() -> None:
    one = answer(
        {ADA: "QA", DEE: "QD"},
        {ADA: ("QA", 0.9), DEE: ("QB", 0.9)},
        wanted=((ADA, "P1", DEE),),
        got=((ADA, "P2", DEE),),
    )
    missed, wrong = triple_examples([one], name_of, entity_ids=False)
    assert (missed.verdict, wrong.verdict) == (MISSED, WRONG)
    assert (missed.gold, missed.found) == ("Ada → Dee: met (P1)", "Ada → Dee: P2, score 0.750")
    assert (wrong.gold, wrong.found) == (missed.gold, missed.found)
    assert marked(missed) == [("Ada", True, True), ("Dee", True, True)]
    assert text_of(missed) == "Ada met Bob in Rome, U.S. style! Cy saw Dee.\n"


def test_sentences_that_lie_apart_are_joined_by_an_ellipsis() -> None:
    text = "Ada sat. " + "It rained. " * 5 + "Bob came."
    pieces = excerpt(text, [Span(0, 3)], [Span(len(text) - 9, len(text) - 6)])
    assert "".join(piece.text for piece in pieces) == "Ada sat.  … Bob came."


def test_kinds_of_errors_share_the_places_and_leave_theirs_to_others() -> None:
    groups = {"a": list(range(100)), "b": [100], "c": [], "d": list(range(200, 300))}
    chosen = spread(groups, 9)
    assert chosen == [0, 25, 50, 75, 100, 200, 225, 250, 275]
    assert spread(groups, 0) == spread({}, 5) == []


@given(sizes=st.lists(st.integers(0, 30), max_size=5), most=st.integers(0, 60))
def test_as_many_are_chosen_as_there_are_places(sizes: list[int], most: int) -> None:
    groups = {str(i): [(i, k) for k in range(size)] for i, size in enumerate(sizes)}
    chosen = spread(groups, most)
    assert len(chosen) == min(most, sum(sizes))
    assert chosen == sorted(set(chosen))


SPANS = st.lists(
    st.tuples(st.integers(0, 90), st.integers(1, 15)).map(lambda at: Span(at[0], sum(at))),
    min_size=1,
    max_size=4,
)


@given(text=st.text(alphabet="Ab. !\n\u00e9", min_size=105, max_size=700), gold=SPANS, found=SPANS)
def test_every_marked_character_is_shown_as_it_is(
    text: str, gold: list[Span], found: list[Span]
) -> None:
    pieces = excerpt(text, gold, found)
    for spans, marks in ((gold, [p.gold for p in pieces]), (found, [p.found for p in pieces])):
        covered = sorted({at for span in spans for at in range(span.start, span.end)})
        there = "".join(p.text for p, mark in zip(pieces, marks, strict=True) if mark)
        assert there == "".join(text[at] for at in covered)
