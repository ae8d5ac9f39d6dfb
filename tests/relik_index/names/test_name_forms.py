"""Forms of names: what they are, and that none is made where a name is a proper one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.names.language import open_language
from relik.names.normalise import normalise
from relik_index.names.name_forms import (
    common_name,
    edition_names,
    initials,
    other_wordings,
    plain_spellings,
    short_state,
)

ENGLISH = open_language("en")


@pytest.mark.parametrize(
    ("name", "types", "description", "expected"),
    [
        ("Veal", (), "Veal is the meat of calves.", "veal"),
        ("Algae", (), "Algae (singular alga) live in water.", "algae"),
        ("Computer", (), "A computer is a machine.", "computer"),
        ("Genome", (), "All genomes of a species are alike.", "genome"),
        ("Classical mechanics", (), "", "classical mechanics"),
        ("Warren", ("place",), "Warren is a city, and a warren has rabbits.", None),
        ("Yes", ("organisation",), "Yes are an English rock band.", None),
        ("Industrial Revolution", (), "Industrial Revolution was a change.", None),
        ("NASA", (), "NASA is an agency.", None),
        ("Ada", (), "Mathematician of London", None),
        ("rice", (), "rice is a grain", None),
        ("", (), "", None),
    ],
)
def test_only_common_nouns_lose_their_capital(
    name: str, types: tuple[str, ...], description: str, expected: str | None
) -> None:
    assert common_name(name, types, description, ENGLISH) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Hermann Göring", ("Hermann Goring", "Hermann Goering")),
        ("Hakan Ünsal", ("Hakan Unsal", "Hakan Uensal")),
        ("Lech Wałęsa", ("Lech Walesa",)),
        ("Paris", ()),
    ],
)
def test_marks_are_left_out_or_written_out(name: str, expected: tuple[str, ...]) -> None:
    assert plain_spellings(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1998 FIFA World Cup", ("FIFA World Cup", "World Cup", "1998 World Cup")),
        ("2000\u201301 Serie A season", ("Serie A season",)),
        ("Wimbledon 1996", ("Wimbledon",)),
        ("1984", ()),
        ("World Cup", ()),
    ],
)
def test_an_edition_is_called_by_its_event(name: str, expected: tuple[str, ...]) -> None:
    assert edition_names(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("State of Palestine", "Palestine"),
        ("Republic of the Congo", "Congo"),
        ("Federal Republic of Germany", "Germany"),
        ("House of Commons", None),
    ],
)
def test_a_state_is_called_by_its_land(name: str, expected: str | None) -> None:
    assert short_state(name, ENGLISH) == expected


@pytest.mark.parametrize(
    ("name", "types", "expected"),
    [
        ("Kurdistan Democratic Party", ("organisation",), "KDP"),
        ("Academy of Motion Picture Arts and Sciences", ("organisation",), "AMPAS"),
        ("Bank of Japan", ("organisation",), "BOJ"),
        ("Kurdistan Democratic Party", (), None),
        ("Democratic Party", ("organisation",), None),
        ("FC Bayern Munich", ("organisation",), None),
        ("eight letters in No Word", ("organisation",), None),
        ("A B C D E F G", ("organisation",), None),
    ],
)
def test_organisations_are_called_by_initials(
    name: str, types: tuple[str, ...], expected: str | None
) -> None:
    assert initials(name, types) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("April 2", ("2 April",)),
        ("2 April", ("April 2",)),
        ("Eighth Air Force", ("8th Air Force",)),
        ("1st Infantry Division", ("First Infantry Division",)),
        ("22nd Regiment", ()),
        ("Anglo-Frisian languages", ("Anglo-Frisian",)),
        ("Dutch language", ("Dutch",)),
        ("Second", ()),
        ("programming language", ()),
    ],
)
def test_days_numbers_and_languages_have_two_wordings(name: str, expected: tuple[str, ...]) -> None:
    assert other_wordings(name, ENGLISH) == expected


@given(st.text(max_size=40), st.text(max_size=60))
def test_any_name_is_taken(name: str, description: str) -> None:
    common = common_name(name, (), description, ENGLISH)
    assert common is None or (common != name and common == name.lower())
    for form in (*plain_spellings(name), *edition_names(name), *other_wordings(name, ENGLISH)):
        assert form != name
    letters = initials(name, ("organisation",))
    assert letters is None or 3 <= len(letters) <= 6
    assert all(normalise(form) or not normalise(name) for form in edition_names(name))


def test_another_language_has_no_english_wordings() -> None:
    german = open_language("de")
    assert short_state("Republic of Germany", german) is None
    for name in ("April 2", "Eighth Air Force", "Dutch language"):
        assert other_wordings(name, german) == ()
    assert common_name("Genome", (), "All genomes of a species.", german) is None
