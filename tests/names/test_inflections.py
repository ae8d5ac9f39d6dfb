"""Plurals and adjectives lead to the names that they are formed from."""

import pytest

from relik.names.inflections import place_stems, plural_stems, term_stems
from relik.names.language import open_language

ENGLISH = open_language("en")


@pytest.mark.parametrize(
    ("key", "stem"),
    [
        ("television networks", "television network"),
        ("treaties", "treaty"),
        ("networks", "network"),
    ],
)
def test_a_plural_leads_to_its_singular(key: str, stem: str) -> None:
    assert stem in plural_stems(key, ENGLISH)
    assert stem not in place_stems(key, ENGLISH)


def test_a_short_word_has_no_stem() -> None:
    for stems in (plural_stems, term_stems, place_stems):
        assert stems("cats", ENGLISH) == stems("old cats", ENGLISH) == []


@pytest.mark.parametrize(
    ("key", "stem"),
    [
        ("diabetic", "diabetes"),
        ("renal necrotic", "renal necrosis"),
        ("epileptic", "epilepsy"),
        ("paralytic", "paralysis"),
        ("autistic", "autism"),
        ("schizophrenic", "schizophrenia"),
        ("hemorrhagic", "hemorrhage"),
        ("asthmatic", "asthma"),
        ("hypotensive", "hypotension"),
        ("cancerous", "cancer"),
    ],
)
def test_the_adjective_of_a_term_leads_to_it(key: str, stem: str) -> None:
    assert stem in term_stems(key, ENGLISH)
    assert stem not in plural_stems(key, ENGLISH)


@pytest.mark.parametrize(
    ("key", "stem"),
    [
        ("kuwaiti", "kuwait"),
        ("tanzanian", "tanzania"),
        ("brazilian", "brazil"),
        ("palestinian", "palestine"),
        ("sudanese", "sudan"),
        ("serb", "serbia"),
        ("britons", "united kingdom"),
        ("danish", "denmark"),
        ("moslems", "islam"),
        ("palestinians", "palestine"),
        ("iraqis", "iraq"),
        ("kurds", "kurdistan"),
    ],
)
def test_people_and_adjectives_of_a_place_lead_to_it(key: str, stem: str) -> None:
    assert stem in place_stems(key, ENGLISH)
    assert stem not in plural_stems(key, ENGLISH)


@pytest.mark.parametrize("key", ["networks", "diabetic", "tanzanians", "danish"])
def test_a_language_without_a_file_has_no_rules(key: str) -> None:
    german = open_language("de")
    assert plural_stems(key, german) == term_stems(key, german) == place_stems(key, german) == []
