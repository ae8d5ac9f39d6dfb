"""What teams are called in results."""

import pytest

from relik_index.names.entity_types import country_of_team, partial_names


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
    assert set(parts) <= set(partial_names(name, ("organisation",), "a team"))


def test_other_names_are_of_no_land() -> None:
    assert country_of_team("Chicago Bulls") is None
