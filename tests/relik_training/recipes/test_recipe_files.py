"""Recipes as files, and settings that the command line puts in the place of theirs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from relik.config import PipelineConfig, changed
from relik.errors import ConfigError
from relik_training.recipes.recipe import (
    ReaderTraining,
    RetrieverTraining,
    read_reader_recipe,
    read_retriever_recipe,
)
from relik_training.recipes.recipe_files import Overrides, open_recipe

RECIPES = Path(__file__).parents[3] / "training" / "recipes"
OLD = Path(__file__).parent / "recipes-0.11"
Read = Callable[[Path], ReaderTraining | RetrieverTraining]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text('steps = 9\nname = "a"\n[mining]\nevery = 5\n')
    return path


def test_a_setting_takes_the_place_of_the_recipes(recipe: Path) -> None:
    said = ["steps=200", "name=b c", "mining.every=0", "mining.margin=-1.5", "new.flag=false"]
    assert open_recipe(recipe, said).values == {
        "steps": 200,
        "name": "b c",
        "mining": {"every": 0, "margin": -1.5},
        "new": {"flag": False},
    }
    assert open_recipe(recipe).values["steps"] == 9


def test_the_last_of_two_values_counts(recipe: Path) -> None:
    assert open_recipe(recipe, ["steps=1", "steps=[1, 2]"]).values["steps"] == [1, 2]


@pytest.mark.parametrize("said", ["steps", "=3", "mining.=3", "name.x=3", ""])
def test_what_cannot_be_set_is_refused(recipe: Path, said: str) -> None:
    with pytest.raises(ConfigError, match="got --set"):
        open_recipe(recipe, [said])


@pytest.mark.parametrize(
    ("name", "read"),
    [("default-reader-4", read_reader_recipe), ("default-retriever-2", read_retriever_recipe)],
)
def test_an_old_recipe_means_what_it_meant(name: str, read: Read) -> None:
    old, new = (read(folder / f"{name}.toml") for folder in (OLD, RECIPES))
    assert replace(old, pipeline=new.pipeline) == new
    base = PipelineConfig()
    made = [changed(base, config.pipeline, where="here") for config in (old, new)]
    assert made[0] == made[1]


def test_what_an_old_recipe_left_out_is_not_the_settings_of_the_base() -> None:
    config = read_reader_recipe(OLD / "default-reader-4.toml")
    base = changed(PipelineConfig(), {"reader": {"max_spans": 7, "max_tokens": 9}}, where="here")
    reader = changed(base, config.pipeline, where="here").reader
    assert (reader.max_spans, reader.max_tokens) == (32, 9)


@pytest.mark.parametrize("folder", [OLD, RECIPES])
@pytest.mark.parametrize(
    ("said", "table", "setting", "value"),
    [
        ("serving.nil_weight=0.5", "rules", "nil_weight", 0.5),
        ("pipeline.rules.nil_weight=0.5", "rules", "nil_weight", 0.5),
        ("serving.windows.max_names=3", "windows", "max_names", 3),
        ("calibration.span_threshold=0.6", "reader", "threshold", 0.6),
        ("calibration.span_threshold=0", "reader", "threshold", None),
    ],
)
def test_settings_are_set_by_old_names_and_new(
    folder: Path, said: str, table: str, setting: str, value: object
) -> None:
    path = folder / "default-reader-4.toml"
    pipeline = read_reader_recipe(path, Overrides(settings=(said,))).pipeline
    held = pipeline[table]
    assert isinstance(held, dict)
    assert held.get(setting) == value
    assert "rules" in pipeline


WRONG = """start = "default"
data = "data"
knowledge = "runs/knowledge"
learning_rate = -1
hidden_dropout = 1.0
max_step = 3
precision = "half"

[sampling]
entity_candidates = [8, 0]
typos = true

[[sources]]
path = "a.jsonl"

[[sources]]
path = "b.jsonl"
mentions = "al"
relation_names = { P1 = 3 }

[pipeline.reader]
threshold = 1.5
"""


def test_all_that_is_wrong_is_named_at_once_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(WRONG)
    with pytest.raises(ConfigError) as raised:
        read_reader_recipe(path, Overrides(settings=("batch_size=0",)))
    first, *lines = str(raised.value).split("\n")
    assert first == f"{path}: got 10 wrong settings"
    named = [line.strip().removeprefix(f"{path}:") for line in lines]
    assert named == [
        "4: learning_rate: got -1, expected a number more than 0: change it",
        "5: hidden_dropout: got 1.0, expected a number at least 0 and less than 1: change it",
        "6: max_step: got an unknown setting, did you mean 'max_steps'?",
        "7: precision: got 'half', expected 'auto', '32-true', '16-mixed', 'bf16-mixed', "
        "'16-true', 'bf16-true' or '64-true': change it",
        "10: sampling.entity_candidates[1]: got 0, expected a whole number at least 1: change it",
        "11: sampling.typos: got True, expected a number: change it",
        "18: sources[1].mentions: got 'al', expected 'all', 'some' or 'none': change it",
        "19: sources[1].relation_names.P1: got 3, expected a string: change it",
        "22: pipeline.reader.threshold: got 1.5, expected a number at least 0 and at most 1: "
        "change it",
        "--set 'batch_size=0': batch_size: got 0, expected a whole number at least 1: change it",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[serving]\nnil_weigth = 1.0\n", r":2: .*did you mean 'nil_weight'"),
        ('[pipeline]\nmodel = "m"\n', r":2: got pipeline.model, which the run writes"),
        ("[pipeline.calibration]\nspan_scale = 1.0\n", r":1: got pipeline.calibration"),
        (
            "[calibration]\nspan_threshold = 0.3\n[pipeline.reader]\nthreshold = 0.4\n",
            r":2: got calibration.span_threshold and pipeline.reader.threshold",
        ),
        ("[pipeline.windows]\nstride = 0\n", r":2: pipeline.windows.stride: got 0, expected"),
    ],
)
def test_settings_of_the_bundle_that_are_wrong_are_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "recipe.toml"
    needed = 'start = "default"; data = "d"; knowledge = "k"; sources = [{ path = "p" }]'
    path.write_text(text)
    said = tuple(each.strip() for each in needed.split(";"))
    with pytest.raises(ConfigError, match=message):
        read_reader_recipe(path, Overrides(settings=said))
