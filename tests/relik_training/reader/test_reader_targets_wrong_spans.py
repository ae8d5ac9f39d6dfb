"""Wrong spans are whole words, and never a mention."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

from relik.reader.inputs import TextTokens
from relik_training.reader.reader_targets import wrong_pairs, wrong_spans


def _text(lengths: list[int]) -> TextTokens:
    """Make words of so many tokens each."""
    begins = np.concatenate([np.arange(n) == 0 for n in lengths])
    ends = np.concatenate([np.arange(n) == n - 1 for n in lengths])
    at = np.arange(len(begins))
    return TextTokens(
        ids=at, types=at * 0, starts=at, ends=at + 1, begins_word=begins, ends_word=ends
    )


@given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=12),
    number=st.integers(0, 30),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_they_are_whole_words_and_no_mentions(
    lengths: list[int], number: int, seed: int, data: st.DataObject
) -> None:
    text = _text(lengths)
    begins, ends = np.flatnonzero(text.begins_word), np.flatnonzero(text.ends_word)
    first = data.draw(st.integers(0, len(lengths) - 1))
    last = data.draw(st.integers(first, len(lengths) - 1))
    mentions = [(int(begins[first]), int(ends[last]))]
    drawn = wrong_spans(text, mentions, number, np.random.default_rng(seed))
    assert len(drawn) <= number
    assert drawn == sorted(set(drawn))
    for start, end in drawn:
        assert start <= end
        assert text.begins_word[start]
        assert text.ends_word[end]
        assert (start, end) not in mentions


def test_half_of_them_share_a_boundary_with_a_mention() -> None:
    text = _text([1] * 200)
    drawn = wrong_spans(text, [(100, 101)], 400, np.random.default_rng(1))
    shared = [span for span in drawn if span[0] == 100 or span[1] == 101]
    assert {(99, 101), (98, 101), (100, 102), (100, 103), (100, 100), (101, 101)} <= set(shared)
    assert len(drawn) - len(shared) > 100


def test_an_empty_text_has_none() -> None:
    empty = np.zeros(0, dtype=np.int64)
    flags = empty.astype(bool)
    text = TextTokens(
        ids=empty, types=empty, starts=empty, ends=empty, begins_word=flags, ends_word=flags
    )
    assert wrong_spans(text, [], 5, np.random.default_rng(0)) == []


@given(
    mentions=st.lists(st.integers(0, 3), max_size=6), wrong=st.lists(st.integers(0, 3), max_size=6)
)
def test_each_wrong_span_is_paired_with_the_mentions_of_its_row(
    mentions: list[int], wrong: list[int]
) -> None:
    pairs = list(wrong_pairs(mentions, wrong))
    rows = mentions + wrong
    assert len(pairs) == len(set(pairs)) == 2 * sum(mentions.count(row) for row in wrong)
    for subject, obj, row in pairs:
        assert rows[subject] == rows[obj] == row
        # One is a mention, the other is none.
        assert (subject < len(mentions)) != (obj < len(mentions))
