"""Plurals and adjectives lead to the names that they are formed from."""

import pytest

from relik.names.inflections import place_stems, stems


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
def test_adjectives_of_terms_are_guessed_where_asked(key: str, stem: str) -> None:
    assert stem in stems(key, terms=True)
    assert stem not in stems(key)


@pytest.mark.parametrize(
    ("key", "stem"),
    [
        ("serb", "serbia"),
        ("britons", "united kingdom"),
        ("danish", "denmark"),
        ("moslems", "islam"),
        ("palestinians", "palestine"),
        ("iraqis", "iraq"),
        ("kurds", "kurdistan"),
    ],
)
def test_people_of_a_place_lead_to_it(key: str, stem: str) -> None:
    assert stem in place_stems(key)
    assert stem in stems(key)
    assert stem not in stems(key, adjectives=False)


def test_a_plural_is_no_form_of_a_place() -> None:
    assert "network" in stems("networks")
    assert "network" not in place_stems("networks")
