"""Letters that are words or initials: which tokens are no mention by themselves."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.bundle import Bundle
from relik.reader.inputs import tokenise_text
from relik.reader.rules.bare_words import bare_letters
from relik.types import Span


def _bare(bundle: Bundle, text: str) -> list[str]:
    tokens = tokenise_text(text, bundle.tokenizer().encode(text, add_special_tokens=False))
    told = bare_letters(text, tokens)
    return [text[tokens.starts[k] : tokens.ends[k]] for k in np.flatnonzero(told)]


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("A new bridge", ["A"]),
        ("An Italian met the king", ["An", "the"]),
        ("J. Smith and P.J. Smith", ["J", "P", "J"]),
        ("D'Artagnan, L\u2019Oreal", ["D", "L"]),
        ("X-ray of a 4-H club", ["X", "a", "H"]),
        ("in c and C#", ["c", "C"]),
        ("Bank X, (C) and R", []),
        ("X", []),
        ("漢 の", []),
        ("", []),
    ],
)
def test_articles_and_initials_are_told_from_names(
    tiny_bundle: Bundle, text: str, bare: list[str]
) -> None:
    assert _bare(tiny_bundle, text) == bare


@given(text=st.text(alphabet="aAiIxX .-'é漢1\U0001f30d", max_size=30))
def test_nothing_longer_than_a_letter_but_an_article_is_bare(
    tiny_bundle: Bundle, text: str
) -> None:
    assert all(len(word) == 1 or word.lower() in {"an", "the"} for word in _bare(tiny_bundle, text))


def test_the_reader_finds_no_article(mentions_of: Callable[..., set[str]]) -> None:
    text = "A bridge in Paris"
    # The model is random, and finds the article where it may.
    assert "A" in mentions_of(text, skip_initials=False)
    assert "A" not in mentions_of(text, skip_initials=True)
    assert mentions_of(text, Span(0, 1), skip_initials=True) == {"A"}
