"""What teams are called in results."""

import pytest

from relik.names.language import open_language
from relik_index.names.entity_types import country_of_team, partial_names

ENGLISH = open_language("en")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("France national football team", ("France",)),
        (
            "Republic of Ireland national association football team",
            ("Republic of Ireland", "Ireland"),
        ),
        ("Chicago Bulls", ("Chicago", "Bulls")),
    ],
)
def test_a_team_is_called_by_its_land_or_town(name: str, parts: tuple[str, ...]) -> None:
    assert set(parts) <= set(partial_names(name, ("organisation",), "a team", ENGLISH))


def test_other_names_are_of_no_land() -> None:
    assert country_of_team("Chicago Bulls", ENGLISH) is None


def test_another_language_has_no_english_tails() -> None:
    german = open_language("de")
    parts = partial_names("Deutsche Bank", ("organisation",), "company", ENGLISH)
    assert parts == ("Deutsche",)
    assert partial_names("Deutsche Bank", ("organisation",), "company", german) == ()
    assert country_of_team("France national football team", german) is None
    assert partial_names("Angela Merkel", ("person",), "", german) == ("Merkel",)
