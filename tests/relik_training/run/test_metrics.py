"""A run ends with its figures, beside those that were planned."""

import gc
import json
import weakref
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("lightning")

from relik_training.recipes.recipe import RetrieverTraining
from relik_training.recipes.recipe_files import Overrides
from relik_training.run.metrics import (
    PLAN,
    Budget,
    end_run,
    folder_bytes,
    read_plan,
    write_plan,
)
from relik_training.run.run_clock import CLOCK, append_row
from relik_training.run.run_files import RESOLVED, begin, settings_key


def _config(out: Path) -> RetrieverTraining:
    return RetrieverTraining(backbone="b", data="d", sources=({"path": "p"},), out=str(out))


def _budget(**figures: float) -> Budget:
    names = ("prepare_s", "train_s", "bundle_s", "total_s", "samples_per_s", "tokens_per_s")
    whole = {"memory_bytes": 4, "gpu_memory_bytes": 0, "disk_bytes": 5}
    return Budget(**{**dict.fromkeys(names, 1.0), **whole, **figures})


def _trained(out: Path, config: RetrieverTraining) -> None:
    begin(out, config)
    (out / CLOCK).unlink()
    for at, stage, done in (
        (0.0, "prepare", {}),
        (2.0, "train", {}),
        (12.0, "train", {"steps": 40, "samples": 80, "tokens": 1000}),
        (12.0, "done", {}),
    ):
        row = {"process": "p", "stage": stage, "at": at, "memory_bytes": 1 << 20, **done}
        append_row(out / CLOCK, row)
    append_row(out / "metrics.jsonl", {"step": 39, "seconds": 10.0, "loss": 1.25, "epoch": 0})


def test_figures_are_written_and_given(tmp_path: Path) -> None:
    config = _config(tmp_path)
    _trained(tmp_path, config)
    planned = _budget(prepare_s=3.0, train_s=5.0)
    write_plan(config, planned, {"more": [1]})
    made, metrics = end_run(config, lambda: {"bundle": "b"})
    assert made == {"bundle": "b"}
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written == metrics.as_dict()
    assert (written["steps"], written["steps_taken"]) == (400, 40)
    assert written["final"] == {"loss": 1.25}
    assert (written["prepare_s"], written["train_s"]) == (2.0, 10.0)
    assert (written["samples_per_s"], written["tokens_per_s"]) == (8.0, 100.0)
    assert written["plan"]["train_s"] == 5.0
    assert (written["plan_error"]["train_s"], written["plan_error"]["prepare_s"]) == (-0.5, 0.5)
    assert (
        written["disk_bytes"] == folder_bytes(tmp_path) - (tmp_path / "metrics.json").stat().st_size
    )


def test_what_trained_is_gone_before_the_bundle_is_made(tmp_path: Path) -> None:
    config = _config(tmp_path)
    _trained(tmp_path, config)

    class Part:
        other: "Part"

    one, other = Part(), Part()
    one.other, other.other = other, one  # as a trainer and what it calls
    held = weakref.ref(one)
    gc.disable()
    try:
        del one, other
        assert held() is not None
        made, _ = end_run(config, lambda: {"gone": held() is None})
        assert made == {"gone": True}
    finally:
        gc.enable()


def test_a_bundle_that_fails_leaves_no_figures(tmp_path: Path) -> None:
    config = _config(tmp_path)
    _trained(tmp_path, config)

    def failing() -> dict[str, object]:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        end_run(config, failing)
    assert not (tmp_path / "metrics.json").exists()


def test_a_plan_is_of_its_settings_wherever_they_are_used(tmp_path: Path) -> None:
    config = _config(tmp_path)
    key = settings_key(config)
    assert settings_key(replace(config, out="elsewhere", data="there")) == key
    assert settings_key(replace(config, batch_size=7)) != key
    write_plan(config, _budget(), {})
    assert read_plan(config) == _budget()
    assert read_plan(replace(config, batch_size=7)) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "settings": "KEY", "budget": {}}'])
def test_a_plan_that_is_none_is_left_out(tmp_path: Path, text: str) -> None:
    config = _config(tmp_path)
    (tmp_path / PLAN).write_text(text.replace("KEY", settings_key(config)))
    assert read_plan(config) is None


def test_the_resolved_recipe_means_what_the_recipe_meant(tmp_path: Path) -> None:
    from relik_training.recipes.recipe import (
        is_reader_recipe,
        read_reader_recipe,
        read_retriever_recipe,
    )

    recipes = sorted((Path(__file__).parents[3] / "training" / "recipes").glob("default-*.toml"))
    assert len(recipes) >= 2
    for recipe in recipes:
        read = read_reader_recipe if is_reader_recipe(recipe) else read_retriever_recipe
        config = read(recipe, Overrides(data="here", out=str(tmp_path / recipe.stem)))
        begin(tmp_path / recipe.stem, config)
        again = read(tmp_path / recipe.stem / RESOLVED)
        assert settings_key(again) == settings_key(config)
        assert (again.data, again.out) == (config.data, config.out)
        begin(tmp_path / "again", replace(again, out=config.out))
        texts = [(tmp_path / name / RESOLVED).read_text() for name in (recipe.stem, "again")]
        assert texts[0] == texts[1]
