"""Answers have upstream's shapes, are JSON, and join windows as upstream does or once each."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("spacy")

from relik.upstream.dropin.outputs import Candidates, RelikOutput, Span, Triplets, window_record
from relik.upstream.dropin.window_merge import Reading, merge_as_upstream, merge_windows
from relik.upstream.index.documents import Document
from relik.upstream.reader.predictions import PredictedSpan, PredictedTriple, WindowPrediction
from relik.upstream.text.token_windows import TokenText, Windowing, split, tokenize

TEXT = "Marie Curie was born in Warsaw and she died in Passy , France ."


@pytest.fixture
def document() -> TokenText:
    return tokenize(TEXT)


def span(start: int, end: int, label: str, probability: float = 0.9) -> PredictedSpan:
    return PredictedSpan(start=start, end=end, label=label, probability=probability, candidates=())


def triple(subject: int, relation: str, object_: int, probability: float) -> PredictedTriple:
    return PredictedTriple(
        subject=subject, relation=relation, object=object_, probability=probability
    )


def read(document: TokenText, *found: tuple[list[Any], list[Any]]) -> list[Reading]:
    windows = split(document, Windowing(size=8, stride=6))
    assert len(windows) == len(found)
    return [
        Reading(window, WindowPrediction(spans=tuple(spans), triples=tuple(triples)))
        for window, (spans, triples) in zip(windows, found, strict=True)
    ]


def test_every_answer_can_be_written_as_json(document: TokenText) -> None:
    one, other = Span(0, 11, "Marie Curie", "Marie Curie"), Span(24, 30, "Warsaw", "Warsaw")
    strange = Document("Warsaw", 3, {"set": {1}, "bytes": b"x"})
    window = split(document, Windowing())[0]
    output = RelikOutput(
        text=TEXT,
        tokens=list(document.words),
        id=0,
        spans=[one, other],
        triplets=[Triplets(one, "born in", other, 0.5)],
        candidates=Candidates(span=[[[Document("Marie Curie", 1), strange]]], triplet=[]),
        windows=[window_record(window, document)],
    )
    answer = json.loads(json.dumps(output.to_dict()))
    assert list(answer) == ["text", "tokens", "spans", "triplets", "candidates", "windows"]
    assert answer["spans"][0] == [0, 11, "Marie Curie", "Marie Curie"]
    assert answer["triplets"] == [[answer["spans"][0], "born in", answer["spans"][1], 0.5]]
    assert answer["candidates"]["span"][0][0][0] == {
        "text": "Marie Curie",
        "id": 1,
        "metadata": {},
    }
    assert answer["windows"][0]["words"] == list(document.words)


def test_mentions_and_relations_are_read_by_name_as_integrations_do() -> None:
    one = Span(0, 11, "Marie Curie", "Marie Curie")
    relation = Triplets(one, "same as", one, 1.0)
    assert (relation.subject.text, relation.label, relation.object.label) == (
        "Marie Curie",
        "same as",
        "Marie Curie",
    )
    assert relation.confidence == 1.0


def test_overlapping_spans_are_resolved_by_probability(document: TokenText) -> None:
    readings = read(
        document,
        ([span(0, 11, "Marie Curie", 0.8), span(6, 11, "Pierre Curie", 0.7)], []),
        ([span(24, 30, "Warsaw", 0.9), span(24, 38, "Warsaw Pact", 0.95)], []),
    )
    joined = merge_windows(document, readings, words=False, given=False)
    assert joined.spans == [
        Span(0, 11, "Marie Curie", "Marie Curie"),
        Span(24, 38, "Warsaw Pact", TEXT[24:38]),
    ]


def test_a_triple_read_twice_is_given_once_with_the_best_confidence(document: TokenText) -> None:
    spans = [span(0, 11, "Marie Curie"), span(24, 30, "Warsaw")]
    readings = read(
        document,
        (spans, [triple(0, "born in", 1, 0.53), triple(0, "lived in", 1, 0.6)]),
        (spans, [triple(0, "born in", 1, 0.55)]),
    )
    joined = merge_windows(document, readings, words=False, given=False)
    assert [(one.label, one.confidence) for one in joined.triplets] == [
        ("born in", 0.55),
        ("lived in", 0.6),
    ]
    assert {one.subject for one in joined.triplets} == {joined.spans[0]}


def test_a_triple_moves_to_the_span_that_took_the_place_of_its_end(document: TokenText) -> None:
    readings = read(
        document,
        ([span(0, 5, "--NME--", 0.6), span(24, 30, "--NME--")], [triple(0, "born in", 1, 0.5)]),
        ([span(0, 11, "--NME--", 0.9)], []),
    )
    joined = merge_windows(document, readings, words=False, given=False)
    assert [one.subject for one in joined.triplets] == [joined.spans[0]]
    assert joined.spans[0].text == "Marie Curie"


def test_mentions_that_were_given_all_stay(document: TokenText) -> None:
    readings = read(
        document,
        ([span(0, 11, "Marie Curie", 0.3), span(6, 11, "Pierre Curie", 0.9)], []),
        ([span(0, 11, "Curie Institute", 0.4)], []),
    )
    joined = merge_windows(document, readings, words=False, given=True)
    assert [one.label for one in joined.spans] == ["Curie Institute", "Pierre Curie"]


def test_quirks_keep_conflicts_and_doubles(document: TokenText) -> None:
    spans = [span(0, 11, "Marie Curie"), span(24, 30, "Warsaw")]
    readings = read(
        document,
        (spans, [triple(0, "born in", 1, 0.53)]),
        ([spans[0], span(24, 30, "Ulm")], [triple(0, "born in", 1, 0.55), triple(0, "in", 0, 0.5)]),
    )
    joined = merge_as_upstream(document, readings, words=False)
    assert [one[:3] for one in joined.spans] == [
        (0, 11, "Marie Curie"),
        (24, 30, "Ulm"),
        (24, 30, "Warsaw"),
    ]
    assert [(one.label, one.object.label, one.confidence) for one in joined.triplets] == [
        ("born in", "Ulm", 0.55),
        ("born in", "Warsaw", 0.53),
        ("in", "Marie Curie", 0.5),
    ]


def test_quirks_keep_ends_before_starts(document: TokenText) -> None:
    readings = read(document, ([span(24, 11, "Warsaw")], []), ([], []))
    assert merge_as_upstream(document, readings, words=False).spans == [Span(24, 11, "Warsaw", "")]
    assert merge_as_upstream(document, readings, words=True).spans == [Span(5, 2, "Warsaw", "")]


@pytest.mark.parametrize("words", [False, True])
def test_words_count_tokens_and_their_text_is_the_texts(document: TokenText, words: bool) -> None:
    readings = read(document, ([span(1, 9, "Curie"), span(24, 30, "Warsaw")], []), ([], []))
    joined = merge_windows(document, readings, words=words, given=False)
    for one in joined.spans:
        first = int(document.starts[one.start]) if words else one.start
        last = int(document.ends[one.end - 1]) if words else one.end
        assert TEXT[first:last] == one.text
        assert isinstance(one.text, str)
    assert joined.spans[0].text == ("Marie Curie" if words else "arie Cur")


@given(st.permutations(range(4)), st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12))))
def test_joining_does_not_depend_on_the_order_of_windows(
    order: list[int], places: list[tuple[int, int]]
) -> None:
    document = tokenize(TEXT)
    window = split(document, Windowing())[0]
    readings = []
    for i in range(4):
        own = [
            span(start, start + length, f"L{(start + i) % 3}", (start * 7 + length + i) % 10 / 10)
            for start, length in places[i::4]
        ]
        relations = [triple(0, "r", len(own) - 1, 0.1 * i)] if own else []
        prediction = WindowPrediction(spans=tuple(own), triples=tuple(relations))
        readings.append(Reading(window, prediction))
    joined = merge_windows(document, readings, words=False, given=False)
    assert merge_windows(document, [readings[i] for i in order], words=False, given=False) == joined
    assert all(a.end <= b.start for a, b in zip(joined.spans, joined.spans[1:], strict=False))
    assert {one for t in joined.triplets for one in (t.subject, t.object)} <= set(joined.spans)
