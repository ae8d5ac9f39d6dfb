"""Escapes that were left in names."""

import json

from hypothesis import given
from hypothesis import strategies as st

from relik_index.sources.json_lines import unescaped


@given(st.text(st.characters(exclude_characters="\\", exclude_categories=["Cs"])))
def test_what_was_escaped_comes_back_and_the_rest_stays(text: str) -> None:
    twice = "".join(each if each.isascii() else json.dumps(each).strip('"') for each in text)
    assert unescaped(twice) == text
    assert unescaped(text) == text


def test_backslashes_of_other_kinds_stay() -> None:
    for text in (r"\u12", r"C:\users", r"\n", "\\", r"\u00g1"):
        assert unescaped(text) == text


def test_a_half_of_a_pair_stays_and_spoils_nothing_beside_it() -> None:
    assert unescaped(r"\uD83D\u00E9\uDE00") == r"\uD83D" + "é" + r"\uDE00"
