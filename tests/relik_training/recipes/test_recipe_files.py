"""Recipes as files, and settings that the command line puts in the place of theirs."""

from pathlib import Path

import pytest

from relik.errors import ConfigError
from relik_training.recipes.recipe_files import read_table


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text('steps = 9\nname = "a"\n[mining]\nevery = 5\n')
    return path


def test_a_setting_takes_the_place_of_the_recipes(recipe: Path) -> None:
    said = ["steps=200", "name=b c", "mining.every=0", "mining.margin=-1.5", "new.flag=false"]
    assert read_table(recipe, said) == {
        "steps": 200,
        "name": "b c",
        "mining": {"every": 0, "margin": -1.5},
        "new": {"flag": False},
    }
    assert read_table(recipe)["steps"] == 9


def test_the_last_of_two_values_counts(recipe: Path) -> None:
    assert read_table(recipe, ["steps=1", "steps=[1, 2]"])["steps"] == [1, 2]


@pytest.mark.parametrize("said", ["steps", "=3", "mining.=3", "name.x=3", ""])
def test_what_cannot_be_set_is_refused(recipe: Path, said: str) -> None:
    with pytest.raises(ConfigError, match="got --set"):
        read_table(recipe, [said])
