"""Edited text keeps its labels on their words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.types import Span
from relik_training.augment.edits import Edit, edited, mistyped
from relik_training.data.examples import Example
from relik_training.data.statements import Mention


def _example(text: str, mentions: list[Span], unknown: list[Span]) -> Example:
    return Example(
        doc_id="d",
        index=0,
        text=text,
        mentions=tuple(Mention(span=span, entity_id="Q1") for span in mentions),
        triples=(),
        unknown=tuple(unknown),
        relations="none",
    )


@st.composite
def _pieces(draw: st.DrawFn) -> list[tuple[str, str, str]]:
    """Draw pieces of text: what stands there, what shall stand there, what it is."""
    kinds = st.sampled_from(("plain", "mention", "unknown"))
    word = st.text("abcXé ", min_size=1, max_size=6)
    pieces = draw(st.lists(st.tuples(word, word, kinds), min_size=1, max_size=8))
    return [(old, new if draw(st.booleans()) else old, kind) for old, new, kind in pieces]


@given(_pieces())
def test_labels_cover_what_stands_in_their_place(pieces: list[tuple[str, str, str]]) -> None:
    spans: dict[str, list[Span]] = {"plain": [], "mention": [], "unknown": []}
    expected: dict[str, list[str]] = {"plain": [], "mention": [], "unknown": []}
    edits, at = [], 0
    for old, new, kind in pieces:
        spans[kind].append(Span(at, at + len(old)))
        expected[kind].append(new)
        if new != old:
            edits.append(Edit(start=at, end=at + len(old), text=new))
        at += len(old)
    text = "".join(old for old, _, _ in pieces)
    found = edited(_example(text, spans["mention"], spans["unknown"]), edits)
    assert found.text == "".join(new for _, new, _ in pieces)
    assert [found.text[m.span.start : m.span.end] for m in found.mentions] == expected["mention"]
    assert [found.text[s.start : s.end] for s in found.unknown] == expected["unknown"]


def test_a_span_of_doubt_grows_over_what_it_cuts() -> None:
    example = _example("one two three", [], [Span(2, 5), Span(9, 13)])
    found = edited(example, [Edit(start=0, end=3, text="A"), Edit(start=8, end=10, text="")])
    assert found.text == "A two ree"
    assert [found.text[s.start : s.end] for s in found.unknown] == ["A t", "ree"]


@pytest.mark.parametrize(
    "edits",
    [
        [Edit(start=2, end=4, text=""), Edit(start=3, end=5, text="")],
        [Edit(start=2, end=9, text="")],
        [Edit(start=2, end=1, text="")],
    ],
)
def test_edits_that_do_not_fit_are_refused(edits: list[Edit]) -> None:
    with pytest.raises(ValueError, match="sorted edits"):
        edited(_example("abcdef", [], []), edits)


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=9), min_size=1, max_size=12), st.data())
def test_slips_stay_in_their_words(words: list[str], data: st.DataObject) -> None:
    text = " ".join(words)
    starts = np.cumsum([0, *(len(word) + 1 for word in words)])
    chosen = data.draw(st.sets(st.integers(0, len(words) - 1)))
    mentions = [Span(int(starts[i]), int(starts[i]) + len(words[i])) for i in sorted(chosen)]
    example = _example(text, mentions, [Span(0, len(text))])
    found = mistyped(example, 0.7, np.random.default_rng(data.draw(st.integers(0, 99))))
    after = found.text.split(" ")
    assert len(after) == len(words)
    for old, new in zip(words, after, strict=True):
        assert abs(len(new) - len(old)) <= 1
        assert new[0] == old[0]
        assert new == old or len(old) >= 4
    assert [found.text[m.span.start : m.span.end] for m in found.mentions] == [
        after[i] for i in sorted(chosen)
    ]
    assert found.unknown == (Span(0, len(found.text)),)


def test_most_words_of_four_letters_can_slip_and_labelled_parts_do_not() -> None:
    words = "mistyping swaps drops doubles letters"
    rng = np.random.default_rng(1)
    slips = [mistyped(_example(words, [], []), 1.0, rng).text for _ in range(40)]
    assert len(set(slips)) > 30
    part = _example("mistyping", [Span(0, 4)], [])
    assert mistyped(part, 1.0, rng) == part
    assert mistyped(_example(words, [], []), 0.0, rng).text == words
