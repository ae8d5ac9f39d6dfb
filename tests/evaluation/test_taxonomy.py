"""Every verdict by hand on one text, and that verdicts share out whatever is given."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.evaluation import GoldDocument, GoldMention
from relik.evaluation.answers import Answer, Proposed
from relik.evaluation.counts import entity_counts, known_mentions
from relik.evaluation.taxonomy import (
    BELOW_THRESHOLD,
    GOLD_VERDICTS,
    NIL_PREDICTED,
    NOT_JUDGED,
    PREDICTION_VERDICTS,
    RETRIEVAL_MISSED,
    RIGHT,
    SPAN_NOT_FOUND,
    SPAN_PARTIAL,
    SPURIOUS,
    SPURIOUS_PARTIAL,
    WRONG_ENTITY,
    JudgedDocument,
    judge,
    taxonomy,
)
from relik.types import (
    Annotation,
    Candidate,
    Coverage,
    Document,
    EntitySpan,
    Span,
    Window,
    WindowCandidates,
)

TEXT = "Ada met Bob in Rome and Cy saw Dee"
ADA, BOB, ROME, CY, DEE = Span(0, 3), Span(8, 11), Span(15, 19), Span(24, 26), Span(31, 34)
KNOWN = frozenset({"QA", "QB", "QR", "QZ"})
HALVES = (Span(0, 19), Span(12, 34))


def answered(
    mentions: Sequence[tuple[Span, str | None]],
    links: Mapping[Span, tuple[str | None, float]],
    *,
    threshold: float = 0.5,
) -> Answer:
    found = [
        EntitySpan(span=s, entity_id=q, score=score) for s, (q, score) in sorted(links.items())
    ]
    return Answer(
        gold=GoldDocument(
            document=Document(doc_id="d", text=TEXT),
            mentions=tuple(GoldMention(span=s, entity_id=q) for s, q in mentions),
            triples=(),
        ),
        annotation=Annotation(
            doc_id="d",
            spans=tuple(each for each in found if each.score >= threshold),
            triples=(),
            coverage=Coverage(characters=len(TEXT), windows=2),
        ),
        rejected=tuple(each for each in found if each.score < threshold),
    )


def proposed(*entity_ids: Sequence[str]) -> Proposed:
    """Candidates of the first and of the second window."""
    return Proposed(
        windows=tuple(
            Window(doc_id="d", index=i, span=s, text=TEXT[s.start : s.end])
            for i, s in enumerate(HALVES)
        ),
        candidates=tuple(
            WindowCandidates(
                entities=tuple(
                    Candidate(entity_id=q, score=1.0, rank=rank, source="dense")
                    for rank, q in enumerate(ids)
                )
            )
            for ids in entity_ids
        ),
    )


def verdicts(judged: JudgedDocument) -> dict[Span, str]:
    return {mention.span: mention.verdict for mention in judged.mentions}


@pytest.mark.parametrize(
    ("links", "verdict"),
    [
        ({ROME: ("QR", 0.9)}, RIGHT),
        ({ROME: ("QR", 0.4)}, BELOW_THRESHOLD),
        ({ROME: ("QZ", 0.9)}, WRONG_ENTITY),
        ({ROME: (None, 0.9)}, NIL_PREDICTED),
        ({ROME: ("QZ", 0.4)}, SPAN_NOT_FOUND),
        ({Span(12, 19): ("QR", 0.9)}, SPAN_PARTIAL),
        ({Span(12, 19): (None, 0.9)}, SPAN_PARTIAL),
        ({Span(12, 19): ("QR", 0.4)}, SPAN_NOT_FOUND),
        ({ADA: ("QR", 0.9)}, SPAN_NOT_FOUND),
        ({}, SPAN_NOT_FOUND),
    ],
)
def test_a_gold_mention_has_the_verdict_of_what_was_found_there(
    links: dict[Span, tuple[str | None, float]], verdict: str
) -> None:
    judged = judge(answered([(ROME, "QR")], links), proposed(["QR"], ["QR"]), known=KNOWN)
    assert verdicts(judged) == {ROME: verdict}


@pytest.mark.parametrize("chosen", ["QZ", None])
def test_retrieval_is_blamed_before_the_reader(chosen: str | None) -> None:
    links: dict[Span, tuple[str | None, float]] = {ADA: (chosen, 0.9), ROME: (chosen, 0.9)}
    answer = answered([(ADA, "QA"), (ROME, "QR")], links)
    # Rome lies in both windows, Ada in the first alone.
    judged = judge(answer, proposed(["QZ"], ["QR", "QA"]), known=KNOWN)
    reader = NIL_PREDICTED if chosen is None else WRONG_ENTITY
    assert verdicts(judged) == {ADA: RETRIEVAL_MISSED, ROME: reader}


def test_a_mention_that_no_window_holds_is_looked_for_in_those_that_touch_it() -> None:
    everything = Span(0, 34)
    answer = answered([(everything, "QR")], {everything: ("QZ", 0.9)})
    for candidates, verdict in ((["QR"], WRONG_ENTITY), (["QB"], RETRIEVAL_MISSED)):
        judged = judge(answer, proposed(["QZ"], candidates), known=KNOWN)
        assert verdicts(judged) == {everything: verdict}


@pytest.mark.parametrize(
    ("span", "entity_id", "verdict"),
    [
        (ADA, "QA", RIGHT),
        (ADA, "QZ", WRONG_ENTITY),
        (Span(0, 7), "QA", SPURIOUS_PARTIAL),
        (BOB, "QB", SPURIOUS),
        (CY, "QZ", NOT_JUDGED),
        (DEE, "QZ", NOT_JUDGED),
        (Span(27, 34), "QZ", NOT_JUDGED),
    ],
)
def test_a_prediction_has_the_verdict_of_the_gold_there(
    span: Span, entity_id: str, verdict: str
) -> None:
    answer = answered([(ADA, "QA"), (CY, "Q-unknown"), (DEE, None)], {span: (entity_id, 0.9)})
    (found,) = judge(answer, proposed([], []), known=KNOWN).predictions
    assert (found.span, found.entity_id, found.verdict) == (span, entity_id, verdict)


def test_mentions_linked_to_nothing_and_rejected_ones_are_no_predictions() -> None:
    judged = judge(
        answered([], {ADA: (None, 0.9), BOB: ("QB", 0.1)}), proposed([], []), known=KNOWN
    )
    assert judged.predictions == ()
    assert [found.verdict for found in judged.rejected] == [SPURIOUS]


def test_verdicts_are_counted_over_documents() -> None:
    one = judge(
        answered([(ADA, "QA"), (BOB, "QB")], {ADA: ("QA", 0.9)}), proposed([], []), known=KNOWN
    )
    counted = taxonomy([one, one])
    gold, predictions = counted["gold"], counted["predictions"]
    assert isinstance(gold, dict)
    assert isinstance(predictions, dict)
    assert gold[RIGHT] == gold[SPAN_NOT_FOUND] == {"count": 2, "share": 0.5}
    assert gold[WRONG_ENTITY] == {"count": 0, "share": 0.0}
    assert predictions[RIGHT] == {"count": 2, "share": 1.0}
    empty = taxonomy([])["gold"]
    assert isinstance(empty, dict)
    assert set(empty) == set(GOLD_VERDICTS)
    assert all(each == {"count": 0, "share": 0.0} for each in empty.values())


IDS = st.sampled_from(["QA", "QB", "QZ", "Q-unknown", None])
PLACES = st.lists(st.integers(0, len(TEXT)), min_size=2, max_size=10, unique=True).map(sorted)
SPANS = st.tuples(st.integers(0, 33), st.integers(1, 9)).map(
    lambda at: Span(at[0], min(len(TEXT), at[0] + at[1]))
)


@st.composite
def links(draw: st.DrawFn) -> dict[Span, tuple[str | None, float]]:
    cuts = draw(PLACES)
    return {
        Span(start, end): (draw(st.sampled_from(["QA", "QB", "QZ", None])), draw(st.floats(0, 1)))
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
    }


CANDIDATES = st.lists(st.sampled_from(["QA", "QB", "QZ"]), unique=True)


@given(
    mentions=st.lists(st.tuples(SPANS, IDS), max_size=6),
    links=links(),
    first=CANDIDATES,
    second=CANDIDATES,
    exact=st.booleans(),
)
def test_verdicts_are_exhaustive_exclusive_and_add_up_to_the_counts(
    mentions: list[tuple[Span, str | None]],
    links: dict[Span, tuple[str | None, float]],
    first: list[str],
    second: list[str],
    exact: bool,
) -> None:
    if exact:
        # Gold and predictions at the same places, or most would miss each other.
        mentions = [(span, q) for span, (_, q) in zip(links, mentions, strict=False)]
    answer = answered(mentions, links)
    judged = judge(answer, proposed(first, second), known=KNOWN)
    wanted = known_mentions(answer.gold, KNOWN)
    assert [(m.span, m.entity_id) for m in judged.mentions] == sorted(wanted)
    got = [(f.span, f.entity_id) for f in answer.annotation.spans if f.entity_id is not None]
    assert [(p.span, p.entity_id) for p in judged.predictions] == got
    of_gold = [mention.verdict for mention in judged.mentions]
    of_predictions = [found.verdict for found in judged.predictions]
    assert set(of_gold) <= set(GOLD_VERDICTS)
    assert set(of_predictions) <= set(PREDICTION_VERDICTS)
    inkb, with_nil = entity_counts(answer.gold, answer.annotation, KNOWN)
    n_wrong = sum(verdict not in (RIGHT, NOT_JUDGED) for verdict in of_predictions)
    assert of_gold.count(RIGHT) == of_predictions.count(RIGHT) == inkb.right
    assert len(of_gold) - of_gold.count(RIGHT) == inkb.missed
    assert n_wrong == inkb.wrong
    assert n_wrong + of_predictions.count(NOT_JUDGED) == with_nil.wrong
