"""Data files of languages."""

from importlib.resources import files

import pytest

from relik.names import language as package
from relik.names.language import Language, open_language
from relik.names.normalise import normalise

CODES = sorted(
    file.name.removesuffix(".toml")
    for file in files(package).iterdir()
    if file.name.endswith(".toml")
)


@pytest.mark.parametrize("code", CODES)
def test_every_file_opens_and_its_forms_are_normalised(code: str) -> None:
    language = open_language(code)
    assert language.code == code
    assert language.plurals.of_forms
    for origin, forms in (*language.demonyms.items(), *language.believers.items()):
        assert all(normalise(one) == one for one in (origin, *forms))
        assert all(language.origin_of[form] == origin for form in forms)


@pytest.mark.parametrize("code", ["de", "tlh", "../en", ""])
def test_a_language_without_a_file_has_no_rules(code: str) -> None:
    assert open_language(code) == Language(code=code)


def test_a_file_is_read_once() -> None:
    assert open_language("en") is open_language("en")


def test_endings_are_taken_off_in_their_order() -> None:
    assert open_language("en").plurals.stems("treaties") == ["treatie", "treati", "treaty"]
    assert open_language("en").plurals.stems("treaty") == []
    assert Language(code="de").plurals.stems("treaties") == []
