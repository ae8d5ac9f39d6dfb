"""Titles before names: where they are, and that none is a mention by itself."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.reader.rules.bare_words import titles
from relik.types import Span


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("President Obama met Prime Minister Netanyahu", ["President", "Prime Minister"]),
        ("Mr. Smith, Mr Jones and Sen. McCain", ["Mr.", "Mr", "Sen."]),
        ("Vice President\nGore", ["Vice President"]),
        ("Lord  Byron and Sir \u00c9tienne", ["Lord", "Sir"]),
        ("the President of France", []),
        ("president Obama, Presidential Medal, Kings Cross", []),
        ("Mr. 7 and General 'X'", []),
        ("President", []),
        ("", []),
    ],
)
def test_titles_before_names_are_found(text: str, found: list[str]) -> None:
    assert [text[first:last] for first, last in titles(text)] == found


@given(text=st.text(alphabet="PresidntMKg. \n\u00c9", max_size=40))
def test_a_name_follows_each_title(text: str) -> None:
    for first, last in titles(text):
        assert text[first].isupper()
        assert text[last:].lstrip()[0].isupper()


def test_the_reader_finds_no_title_before_a_name(mentions_of: Callable[..., set[str]]) -> None:
    text = "King Ada Lovelace was born in Paris"
    # The model is random, and finds the title where it may.
    assert "King" in mentions_of(text, skip_titles=False)
    assert "King" not in mentions_of(text, skip_titles=True)
    assert mentions_of(text, Span(0, 4), skip_titles=True) == {"King"}
