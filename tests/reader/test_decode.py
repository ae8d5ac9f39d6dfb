"""From logits to spans: the obvious answer for logits made by hand, invariants for any."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from relik.reader.decode import (
    MAX_SPAN_TOKENS,
    NIL_CLASS,
    DecodedSpan,
    calibrated,
    end_scores,
    link_scores,
    lowered,
    pick_ends,
    pick_starts,
    softmax,
    uncalibrated,
    with_ends,
    without_overlaps,
)

SURE = 20.0
LOGITS = st.floats(-50, 50, width=32)
SCALES = st.floats(0.05, 10)
SHIFTS = st.floats(-10, 10)


def _starts(*tokens: int, width: int = 6) -> np.ndarray:
    logits = np.zeros((width, 2), dtype=np.float32)
    logits[:, 0] = SURE
    for token in tokens:
        logits[token, 1] = 2 * SURE
    return logits


def _span(start: int, end: int, mention: float, *, best: int = NIL_CLASS + 1) -> DecodedSpan:
    links = np.eye(4, dtype=np.float32)[best]
    return DecodedSpan(start=start, end=end, mention=mention, links=links)


@given(arrays(np.float32, (3, 4), elements=LOGITS))
def test_softmax_sums_to_one_and_keeps_the_order(logits: np.ndarray) -> None:
    scores = softmax(logits)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert (scores[np.arange(3), logits.argmax(axis=1)] >= scores.max(axis=1) - 1e-6).all()


def test_softmax_gives_nothing_to_what_is_barred() -> None:
    scores = softmax(np.array([[-np.inf, 1e30, -1e30]], dtype=np.float32))
    assert scores.tolist() == [[0, 1, 0]]


def test_starts_are_where_the_logits_say() -> None:
    tokens, scores = pick_starts(_starts(1, 4), np.ones(6, dtype=bool), least=0.5, most=9)
    assert tokens.tolist() == [1, 4]
    np.testing.assert_allclose(scores, 1, atol=1e-5)


def test_no_start_is_where_none_is_allowed() -> None:
    allowed = np.array([False, False, True, True, True, False])
    tokens, _ = pick_starts(_starts(0, 1, 5), allowed, least=0.0, most=9)
    assert set(tokens.tolist()) <= {2, 3, 4}


def test_the_most_probable_starts_are_kept() -> None:
    logits = np.array([[0, 1], [0, 9], [0, 2], [0, 5]], dtype=np.float32)
    tokens, scores = pick_starts(logits, np.ones(4, dtype=bool), least=0.0, most=2)
    assert tokens.tolist() == [1, 3]
    assert len(scores) == 2


def test_no_tokens_have_no_starts() -> None:
    tokens, scores = pick_starts(_starts(width=0), np.zeros(0, dtype=bool), least=0.0, most=2)
    assert len(tokens) == len(scores) == 0


def test_ends_are_where_the_logits_say() -> None:
    logits = np.zeros((2, 5), dtype=np.float32)
    logits[0, 2] = logits[1, 4] = SURE
    ends, scores = pick_ends(end_scores(logits, np.array([1, 4]), np.ones(5, dtype=bool)))
    assert ends.tolist() == [2, 4]
    np.testing.assert_allclose(scores, 1, atol=1e-4)


def test_an_end_before_its_start_is_never_chosen() -> None:
    logits = np.array([[SURE, SURE, -SURE, 0]], dtype=np.float32)
    ends, _ = pick_ends(end_scores(logits, np.array([2]), np.ones(4, dtype=bool)))
    assert ends.tolist() == [3]


def test_a_start_without_an_end_says_so() -> None:
    ends, scores = pick_ends(
        end_scores(np.zeros((1, 3), dtype=np.float32), np.array([2]), np.array([True, True, False]))
    )
    assert (ends.tolist(), scores.tolist()) == ([-1], [0])


def test_a_span_has_a_longest_length() -> None:
    logits = np.zeros((1, 99), dtype=np.float32)
    logits[0, 98] = SURE
    ends, _ = pick_ends(end_scores(logits, np.array([3]), np.ones(99, dtype=bool)))
    assert 3 <= ends[0] < 3 + MAX_SPAN_TOKENS


@given(
    logits=arrays(np.float32, (4, 7), elements=LOGITS),
    starts=arrays(np.int64, 4, elements=st.integers(0, 6)),
    allowed=arrays(np.bool_, 7),
)
def test_an_end_is_allowed_and_not_before_its_start(
    logits: np.ndarray, starts: np.ndarray, allowed: np.ndarray
) -> None:
    ends, scores = pick_ends(end_scores(logits, starts, allowed))
    assert ((scores >= 0) & (scores <= 1 + 1e-6)).all()
    for start, end in zip(starts, ends, strict=True):
        if end < 0:
            assert not allowed[start:].any()
        else:
            assert allowed[end]
            assert end >= start


@given(
    logits=arrays(np.float32, (3, 5), elements=LOGITS),
    mask=arrays(np.bool_, 5).filter(lambda mask: bool(mask[1:].any())),
)
def test_none_and_padding_are_never_linked(logits: np.ndarray, mask: np.ndarray) -> None:
    before = mask.copy()
    logits[:, 0] = 100.0
    scores = link_scores(logits, mask)
    assert (mask == before).all()
    assert not scores[:, 0].any()
    assert not scores[:, ~mask].any()
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert (scores.argmax(axis=1) >= NIL_CLASS).all()


def test_the_score_of_a_span_is_that_of_mention_and_link() -> None:
    span = DecodedSpan(
        start=1, end=2, mention=0.5, links=np.array([0, 0.25, 0.75], dtype=np.float32)
    )
    assert (span.best, span.score) == (2, 0.375)


def test_the_best_of_overlapping_spans_is_kept() -> None:
    spans = [_span(1, 3, 0.6), _span(3, 4, 0.9), _span(5, 5, 0.2)]
    assert without_overlaps(spans, most=9) == [spans[1], spans[2]]


@pytest.mark.parametrize(
    ("spans", "told"),
    [
        ([_span(1, 3, 0.5), _span(2, 3, 0.3)], [(1, 3, 0.8)]),
        ([_span(1, 3, 0.5), _span(3, 4, 0.2, best=3)], [(1, 3, 0.5)]),
        ([_span(1, 3, 0.5), _span(7, 7, 0.3)], [(1, 3, 0.5), (7, 7, 0.3)]),
        ([_span(1, 3, 0.5), _span(2, 3, 0.09)], [(1, 3, 0.5)]),  # too improbable to count
        # Between two, who gains is not known.
        ([_span(1, 3, 0.5), _span(5, 6, 0.4), _span(3, 5, 0.1)], [(1, 3, 0.5), (5, 6, 0.4)]),
        ([_span(1, 3, 0.5), _span(1, 2, 0.45), _span(2, 3, 0.3)], [(1, 3, 1.0)]),
        ([_span(1, 3, 0.5, best=NIL_CLASS), _span(2, 3, 0.3, best=NIL_CLASS)], [(1, 3, 0.5)]),
    ],
)
def test_what_gives_way_adds_its_probability_to_what_means_the_same(
    spans: list[DecodedSpan], told: list[tuple[int, int, float]]
) -> None:
    kept = without_overlaps(spans, most=9, join=0.1)
    assert [(span.start, span.end, pytest.approx(span.mention)) for span in kept] == told
    alone = {(span.start, span.end, span.mention) for span in without_overlaps(spans, most=9)}
    assert {(first, last) for first, last, _ in told} == {(first, last) for first, last, _ in alone}


def test_the_longer_then_the_earlier_of_equal_spans_is_kept() -> None:
    spans = [_span(2, 3, 0.5), _span(1, 3, 0.5), _span(3, 5, 0.5)]
    assert without_overlaps(spans, most=9) == [spans[1]]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.floats(0, 1)), max_size=12),
    st.integers(1, 12),
)
def test_kept_spans_never_overlap(drawn: list[tuple[int, int, float]], most: int) -> None:
    spans = [_span(start, start + length, mention) for start, length, mention in drawn]
    kept = without_overlaps(spans, most=most)
    assert len(kept) <= most
    assert all(one.end < other.start for one, other in pairwise(kept))
    if spans and most:
        assert max(span.score for span in kept) == max(span.score for span in spans)
    for span in spans:
        rivals = [k for k in kept if k.start <= span.end and span.start <= k.end]
        assert len(kept) == most or any(k.score >= span.score for k in rivals)


@given(raw=st.floats(0, 1), scale=SCALES, shift=SHIFTS)
def test_calibration_gives_a_probability(raw: float, scale: float, shift: float) -> None:
    assert 0 <= calibrated(raw, scale, shift) <= 1


def test_calibration_without_effect_changes_nothing() -> None:
    assert calibrated(0.3, 1.0, 0.0) == pytest.approx(0.3)


@given(low=st.floats(0, 1), high=st.floats(0, 1), scale=SCALES, shift=SHIFTS)
def test_calibration_keeps_the_order(low: float, high: float, scale: float, shift: float) -> None:
    assume(low <= high)
    assert calibrated(low, scale, shift) <= calibrated(high, scale, shift)


@given(raw=st.floats(0.001, 0.999), scale=st.floats(0.05, 3), shift=st.floats(-3, 3))
def test_uncalibrated_undoes_calibrated(raw: float, scale: float, shift: float) -> None:
    score = calibrated(raw, scale, shift)
    assume(1e-9 < score < 1 - 1e-9)
    assert uncalibrated(score, scale, shift) == pytest.approx(raw, abs=1e-5)


@given(score=st.floats(0, 1), scale=SCALES, shift=SHIFTS)
def test_every_score_has_a_raw_score(score: float, scale: float, shift: float) -> None:
    assert 0 <= uncalibrated(score, scale, shift) <= 1


@pytest.mark.parametrize("scale", [0.05, 1.0, 100.0])
def test_the_ends_of_the_scale_ask_for_all_and_for_nothing(scale: float) -> None:
    assert uncalibrated(0.0, scale, 5.0) == 0.0
    assert uncalibrated(1.0, scale, 5.0) == 1.0


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 4))
def test_doubt_about_ends_never_adds_to_a_triple(
    raw: float, subject: float, object_: float, weight: float
) -> None:
    weighed = with_ends(raw, (subject, object_), weight)
    assert 0.0 <= weighed <= raw
    assert with_ends(raw, (subject, object_), 0.0) == raw
    assert weighed == with_ends(raw, (object_, subject), weight)
    assert with_ends(raw, (1.0, 1.0), weight) == pytest.approx(raw, abs=1e-5)


@given(st.floats(0, 1), st.floats(0, 4))
def test_a_lowered_score_is_lower_by_so_many_log_odds(raw: float, by: float) -> None:
    assert lowered(raw, 0.0) == raw
    assert 0.0 <= lowered(raw, by) <= raw
    assert lowered(lowered(0.5, by), 1.0) == pytest.approx(lowered(0.5, by + 1.0))
