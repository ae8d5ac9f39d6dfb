"""Decoding on small hand-made numbers, with and without upstream's quirks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.types import FloatArray
from relik.upstream.reader.labels import (
    N_BEST,
    TokenSpan,
    best_candidates,
    label_of,
    link_scores,
    overlapping_tokens,
    pick_end,
    pick_ends,
    pick_starts,
    round_score,
    sigmoid,
    token_chars,
    word_chars,
)
from relik.upstream.reader.marked_rows import ReaderRow
from relik.upstream.reader.predictions import RowReading, predict_links, predict_relations
from relik.upstream.text.subwords import NME, WordTokens
from relik.upstream.text.token_windows import UpstreamWindow

# "Ada Lovelace died": two subwords of each of the last two words, the last without its final sign.
TEXT = WordTokens(
    ids=np.arange(5, dtype=np.int64),
    starts=np.array([100, 104, 108, 113, 115], dtype=np.int64),
    ends=np.array([103, 108, 112, 115, 116], dtype=np.int64),
    words=np.array([0, 1, 1, 2, 2], dtype=np.int64),
)
WINDOW = UpstreamWindow(
    0,
    0,
    "Ada Lovelace died",
    ("Ada", "Lovelace", "died"),
    np.array([100, 104, 113], dtype=np.int64),
    np.array([103, 112, 117], dtype=np.int64),
    100,
)


def _floats(*values: object) -> FloatArray:
    return np.array(values, dtype=np.float32)


def _span(start: int, end: int, score: float = 0.5) -> TokenSpan:
    return TokenSpan(start=start, end=end, score=score)


def _row(entities: tuple[str, ...], relations: tuple[str, ...] = ()) -> ReaderRow:
    nothing: object = None
    return ReaderRow(
        window=0,
        tokens=nothing,  # type: ignore[arg-type]  # the ids play no part any more
        entities=entities,
        relations=relations,
        left_out=2,
    )


def _reading(
    row: ReaderRow,
    spans: list[TokenSpan],
    scores: FloatArray,
    triples: tuple[tuple[int, int, int, float], ...] = (),
) -> RowReading:
    return RowReading(row=row, spans=tuple(spans), scores=scores, triples=triples, spans_left_out=1)


def test_spans_start_in_the_text_where_yes_beats_no() -> None:
    logits = _floats([0, 9], [0, 1], [1, 1], [0, 2], [0, 9])
    tokens, scores = pick_starts(logits, 3)
    assert tokens.tolist() == [1, 3]
    np.testing.assert_allclose(scores, [0.731, 0.881], atol=1e-3)


def test_an_end_precedes_its_start_only_with_quirks() -> None:
    logits = _floats(9, 5, 0, 1, 9)
    assert pick_end(logits, 2, 3, quirks=True).end == 1
    ours = pick_end(logits, 2, 3, quirks=False)
    assert (ours.start, ours.end) == (2, 3)
    assert ours.score == pytest.approx(0.731, abs=1e-3)


def test_a_start_can_have_several_ends_or_none() -> None:
    logits = _floats([0, 9], [0, 1], [0, -1], [0, 1], [0, 9])
    assert [s.end for s in pick_ends(logits, 2, 3, backwards=False)] == [3]
    assert [s.end for s in pick_ends(logits, 2, 3, backwards=True)] == [1, 3]
    assert pick_ends(-logits, 1, 1, backwards=False) == []


@given(st.lists(st.floats(-80, 80, width=32), min_size=2, max_size=8))
def test_none_is_an_answer_only_with_quirks(values: list[float]) -> None:
    logits = _floats(values)
    labels = [f"c{k}" for k in range(len(values) - 1)]
    quirky, ours = link_scores(logits, quirks=True)[0], link_scores(logits, quirks=False)[0]
    np.testing.assert_allclose([quirky.sum(), ours.sum()], 1.0, atol=1e-5)
    assert ours[0] == 0.0
    label = label_of(ours, labels)
    assert label is not None
    assert logits[0, 1 + labels.index(label)] == pytest.approx(logits[0, 1:].max(), abs=1e-4)
    if quirky.argmax() == 0:
        assert label_of(quirky, labels) == labels[-1]


def test_the_class_of_a_forged_marker_means_nothing() -> None:
    scores = _floats(0.1, 0.2, 0.1, 0.6)
    assert label_of(scores, ("a", "b")) is None
    assert label_of(scores, ("a", "b", "c")) == "c"
    assert label_of(_floats(1.0), ()) is None


def test_the_best_candidates_are_few_and_in_order() -> None:
    scores = _floats(0.1, 0.3, 0.3, 0.05, 0.02, 0.03, 0.2)
    labels = ("a", "b", "c", "d", "e", "f")
    best = best_candidates(scores, labels)
    assert [label for label, _ in best] == ["b", "c", "a", "d", "f"]
    assert len(best) == N_BEST
    assert best_candidates(scores[:0], ()) == ()


def test_the_sigmoid_of_large_numbers_is_no_warning() -> None:
    np.testing.assert_allclose(sigmoid(_floats(-200, -1, 0, 200)), [0, 0.2689, 0.5, 1], atol=1e-4)


def test_probabilities_round_as_upstream_writes_them() -> None:
    assert round_score(0.5312) == 0.5299999713897705
    assert round_score(0.5) == 0.5


def test_linked_spans_lie_where_their_tokens_lie() -> None:
    assert token_chars(_span(2, 4), TEXT) == (104, 115)
    assert token_chars(_span(4, 1), TEXT) == (113, 103)


def test_related_spans_are_whole_words() -> None:
    for quirks in (True, False):
        assert word_chars(_span(3, 3), TEXT, WINDOW, quirks=quirks) == (104, 112)
        assert word_chars(_span(1, 2), TEXT, WINDOW, quirks=quirks) == (100, 112)


def test_a_word_whose_end_was_normalised_away_is_still_whole() -> None:
    # No subword ends where "died" ends, and there is none behind to walk to.
    for quirks in (True, False):
        assert word_chars(_span(4, 4), TEXT, WINDOW, quirks=quirks) == (113, 117)


def test_given_mentions_find_the_tokens_under_them() -> None:
    assert overlapping_tokens((104, 112), TEXT) == (2, 3)
    assert overlapping_tokens((105, 114), TEXT) == (2, 4)
    assert overlapping_tokens((103, 104), TEXT) is None
    assert overlapping_tokens((116, 117), TEXT) is None


def test_the_rows_of_a_window_are_one_answer() -> None:
    first = _reading(
        _row((NME, "a")), [_span(1, 1), _span(2, 3)], _floats([0, 0.9, 0.1], [0, 0, 1])
    )
    second = _reading(
        _row((NME, "b")), [_span(1, 1), _span(2, 3)], _floats([0, 0.4, 0.6], [0, 1, 0])
    )
    third = _reading(_row((NME, "c")), [_span(1, 1)], _floats([0, 0.2, 0.8]))

    quirky = predict_links([first, second, third], TEXT, quirks=True, remove_nmes=True)
    assert [(s.start, s.end, s.label) for s in quirky.spans] == [(100, 103, "b"), (104, 112, "a")]
    ours = predict_links([first, second, third], TEXT, quirks=False, remove_nmes=True)
    assert [s.label for s in ours.spans] == ["c", "a"]
    assert ours.spans[0].probability == pytest.approx(0.8)
    assert ours.spans[0].candidates[0] == ("c", pytest.approx(0.8))
    assert (ours.left_out, ours.spans_left_out) == (2, 3)


def test_mentions_of_nothing_known_are_kept_when_asked() -> None:
    reading = _reading(_row((NME, "a")), [_span(1, 1)], _floats([0, 0.9, 0.1]))
    for quirks in (True, False):
        assert predict_links([reading], TEXT, quirks=quirks, remove_nmes=True).spans == ()
        (span,) = predict_links([reading], TEXT, quirks=quirks, remove_nmes=False).spans
        assert span.label == NME


def test_tokens_of_the_same_place_are_one_span_without_quirks() -> None:
    text = WordTokens(
        ids=TEXT.ids[:2],
        starts=np.array([5, 5], dtype=np.int64),
        ends=np.array([5, 9], dtype=np.int64),
        words=np.zeros(2, dtype=np.int64),
    )
    reading = _reading(
        _row((NME, "a", "b")),
        [_span(1, 2), _span(2, 2)],
        _floats([0, 0, 0.7, 0.3], [0, 0, 0.2, 0.8]),
    )
    quirky = predict_links([reading], text, quirks=True, remove_nmes=True)
    assert [s.label for s in quirky.spans] == ["a", "b"]
    ours = predict_links([reading], text, quirks=False, remove_nmes=True)
    assert [s.label for s in ours.spans] == ["b"]


def test_triples_name_spans_by_their_place() -> None:
    # The second and third span are the same words.
    spans = [_span(1, 1, 0.9), _span(2, 2, 0.6), _span(3, 3, 0.8)]
    triples = ((0, 0, 1, 0.714), (0, 0, 2, 0.936), (2, 1, 0, 0.6), (1, 7, 0, 0.9))
    row = _row(("a", "b"), ("p", "q"))
    reading = _reading(row, spans, _floats([0.9, 0.1], [0.2, 0.6], [0.7, 0.1]), triples)

    ours = predict_relations(reading, TEXT, WINDOW, quirks=False)
    assert [(s.start, s.end, s.label) for s in ours.spans] == [(100, 103, "a"), (104, 112, "a")]
    assert [(t.subject, t.relation, t.object) for t in ours.triples] == [(0, "p", 1), (1, "q", 0)]
    assert ours.triples[0].probability == pytest.approx(0.936)

    quirky = predict_relations(reading, TEXT, WINDOW, quirks=True)
    assert [s.label for s in quirky.spans] == ["a", "a", "b"]
    assert [t.probability for t in quirky.triples] == [
        round_score(0.936),
        round_score(0.714),
        round_score(0.6),
    ]
    assert {t.subject for t in quirky.triples} | {t.object for t in quirky.triples} == {0, 1}


def test_spans_of_a_reader_without_entities_have_no_label_but_nme() -> None:
    reading = _reading(_row((), ("p",)), [_span(1, 1, 0.9)], np.zeros((1, 0), dtype=np.float32))
    (span,) = predict_relations(reading, TEXT, WINDOW, quirks=False).spans
    assert (span.label, span.probability, span.candidates) == (NME, 0.9, ())
