"""Who practises a sport names it."""

import pytest

from relik.names.language import open_language
from relik.names.trie import KINDS, Kind
from relik.types import Entity
from relik_index.names.enrich import other_forms
from relik_index.names.practitioners import named_by, practitioners

ENGLISH = open_language("en")
PRACTITIONERS = ENGLISH.practitioners


@pytest.mark.parametrize(
    ("name", "description", "forms"),
    [
        ("cricket", "team sport played with bats and balls", ("cricketer",)),
        ("association football", "team sport", ("footballer", "football", "soccer")),
        ("Judo", "modern martial art", ("judoka",)),
        ("tennis", "racket sport", ()),  # "tennis player" has its name
        ("polo", "city in Illinois", ()),
        ("golf", "1984 sports video game", ()),
        ("knitting", "sport", ()),
    ],
)
def test_what_they_are_called(name: str, description: str, forms: tuple[str, ...]) -> None:
    assert practitioners(name, (), description, ENGLISH) == forms


def test_a_place_is_no_sport() -> None:
    assert practitioners("polo", ("place",), "a sport", ENGLISH) == ()


def test_they_are_parts_of_names_of_a_record() -> None:
    entity = Entity(entity_id="Q31920", name="swimming", description="water-based sport")
    assert KINDS[other_forms(entity, ENGLISH)["swimmer"]] is Kind.INFLECTED


@pytest.mark.parametrize("name", PRACTITIONERS)
def test_each_form_names_something(name: str) -> None:
    assert all(form.startswith(named_by(form, ENGLISH)) for form in PRACTITIONERS[name])
    assert all(named_by(form, ENGLISH) for form in PRACTITIONERS[name])


def test_another_language_has_none() -> None:
    assert practitioners("cricket", (), "team sport", open_language("de")) == ()
