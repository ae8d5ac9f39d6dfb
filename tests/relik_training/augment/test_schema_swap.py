"""Swapped copies keep every label, and take names of the same type."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

from relik.types import Span
from relik_training.augment.schema_swap import with_swaps
from relik_training.data.examples import Example
from relik_training.data.statements import Mention

NAMES = {"Peop": ["Ada Lovelace", "Edgar", "Łukasz"], "Loc": ["Rome", "New York", "Þingvellir"]}


def _example(number: int, words: list[tuple[str, str]]) -> Example:
    text, mentions = "", []
    for kind, word in words:
        if kind:
            span = Span(len(text), len(text) + len(word))
            mentions.append(Mention(span=span, entity_id=kind))
        text += word + " "
    return Example(
        doc_id=f"d{number}",
        index=0,
        text=text,
        mentions=tuple(mentions),
        triples=((0, "Live_In", 1),) if len(mentions) > 1 else (),
        unknown=(),
        relations="all",
    )


WORDS = st.one_of(
    st.sampled_from([("", "was"), ("", "in 🌍")]),
    st.sampled_from([(kind, name) for kind, names in NAMES.items() for name in names]),
)


@given(
    texts=st.lists(st.lists(WORDS, min_size=1, max_size=7), min_size=1, max_size=5),
    copies=st.integers(0, 3),
    seed=st.integers(0, 50),
)
def test_copies_keep_types_and_triples(
    texts: list[list[tuple[str, str]]], copies: int, seed: int
) -> None:
    examples = [_example(number, words) for number, words in enumerate(texts)]
    told = with_swaps(examples, copies, seed)
    assert told[: len(examples)] == examples
    assert told == with_swaps(examples, copies, seed)
    assert len(told) <= len(examples) * (1 + copies)
    named = {each.doc_id: each for each in examples}
    for copy in told[len(examples) :]:
        first = named[copy.doc_id.split(" ")[0]]
        assert copy.text != first.text
        assert copy.triples == first.triples
        assert [m.entity_id for m in copy.mentions] == [m.entity_id for m in first.mentions]
        for mention in copy.mentions:
            surface = copy.text[mention.span.start : mention.span.end]
            assert surface in NAMES[str(mention.entity_id)]


def test_half_of_the_mentions_are_swapped() -> None:
    rng = np.random.default_rng(0)
    people = [("Peop", f"Name{rng.integers(1_000_000)}") for _ in range(300)]
    one = _example(0, people)
    (_, copy) = with_swaps([one], 1, 7)
    same = sum(
        copy.text[c.span.start : c.span.end] == one.text[m.span.start : m.span.end]
        for m, c in zip(one.mentions, copy.mentions, strict=True)
    )
    assert 100 < same < 200
