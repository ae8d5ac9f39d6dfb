"""Plurals and adjectives lead to the names that they are formed from."""

import pytest

from relik.kb.inflections import stems


@pytest.mark.parametrize(
    ("key", "stem"),
    [
        ("kuwaiti", "kuwait"),
        ("tanzanian", "tanzania"),
        ("brazilian", "brazil"),
        ("palestinian", "palestine"),
        ("sudanese", "sudan"),
        ("television networks", "television network"),
        ("treaties", "treaty"),
    ],
)
def test_stems_have_the_name_that_a_form_is_made_of(key: str, stem: str) -> None:
    assert stem in stems(key)


def test_a_short_word_has_no_stem() -> None:
    assert stems("cats") == stems("old cats") == []
