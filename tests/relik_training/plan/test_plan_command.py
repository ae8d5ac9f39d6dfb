"""A plan is made aside, is of the run that follows, and is held against it."""

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("transformers")
pytest.importorskip("onnx")

from relik.errors import ConfigError
from relik_training.cli import app

if TYPE_CHECKING:
    from tests.relik_training.conftest import World

COSTS = ("prepare_s", "train_s", "bundle_s", "total_s", "samples_per_s", "tokens_per_s")


def _run(*arguments: object) -> dict[str, object]:
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_a_plan_of_each_run_is_held_against_it(world: "World") -> None:
    base, out = world.root / "base", world.root / "run"
    recipe = world.retriever_recipe()
    planned = _run("plan", "--config", recipe, "--out", base, "--json")
    assert [path.name for path in base.iterdir()] == ["plan.json"]
    assert not world.knowledge.exists()
    assert all(planned[name] > 0 for name in COSTS)
    assert planned["gpu_memory_bytes"] >= 0
    made = _run("retriever", "--config", recipe, "--out", base, "--json")
    metrics = json.loads((base / "metrics.json").read_text())
    assert metrics == made["metrics"]
    assert metrics["plan"] == {name: planned[name] for name in metrics["plan"]}
    for name, error in metrics["plan_error"].items():
        assert error == pytest.approx(planned[name] / metrics[name] - 1, abs=0.02)

    recipe = world.reader_recipe(base / "bundle")
    planned = _run("plan", "--config", recipe, "--out", out, "--json")
    assert [path.name for path in out.iterdir()] == ["plan.json"]
    assert planned["evaluations"] == 1
    assert planned["evaluation_s"] > 0
    metrics = _run("reader", "--config", recipe, "--out", out, "--json")["metrics"]
    assert metrics["steps_taken"] == metrics["steps"] == 6
    # What is written does not depend on the hour: the plan has to know it well.
    assert abs(metrics["plan_error"]["disk_bytes"]) < 0.1
    assert set(metrics["final"]) >= {"loss", "start", "link"}


def test_a_plan_of_other_settings_is_told_but_not_held_against_a_run(world: "World") -> None:
    out = world.root / "run"
    recipe = world.retriever_recipe(batch_size=3)
    arguments = ["plan", "--config", str(recipe), "--out", str(out)]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    for word in ("peak memory", "samples a second", "disk", "steps: 6 of 3 examples", "plan.json"):
        assert word in result.stdout
    made = _run("retriever", "--config", world.retriever_recipe(), "--out", out, "--json")
    assert made["metrics"]["plan"] is None
    assert made["metrics"]["plan_error"] is None


@pytest.mark.slow
def test_what_is_missing_is_named_by_the_calibration_too(world: "World") -> None:
    recipe = world.retriever_recipe(backbone=str(world.root / "none"))
    with pytest.raises(ConfigError, match="none"):
        _run("plan", "--config", recipe, "--out", world.root / "run")
    assert not (world.root / "run").exists()


def test_the_process_that_asks_for_a_plan_needs_no_torch() -> None:
    code = "import sys, relik_training.plan.plan_command as p; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
