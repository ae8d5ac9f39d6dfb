"""A run that was stopped ends with the weights of one that was not."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402 - needs torch

from relik.models.encoder_module import EncoderModel  # noqa: E402
from relik_training.cli import app  # noqa: E402
from relik_training.recipes.run_settings import RunSettings  # noqa: E402
from relik_training.retriever.retriever_data import RetrieverBatch, Tokens  # noqa: E402
from relik_training.retriever.retriever_module import Objective, RetrieverModule, linear_schedule  # noqa: E402
from relik_training.run.backbone import open_backbone  # noqa: E402
from relik_training.run.batches import StepBatches  # noqa: E402
from relik_training.run.run_clock import spent  # noqa: E402
from relik_training.run.run_files import read_figures  # noqa: E402
from relik_training.run.trainer import Watchers, fit  # noqa: E402

if TYPE_CHECKING:
    from tests.relik_training.conftest import World

STEPS = 8


class Stopped(Exception):
    """Stands for what ends a run early."""


def _batch(step: int) -> RetrieverBatch:
    draw = torch.Generator().manual_seed(step)
    ids = torch.randint(4, 30, (6, 7), generator=draw)
    return RetrieverBatch(
        windows=Tokens(ids[:2], torch.ones_like(ids[:2])),
        passages=Tokens(ids[2:], torch.ones_like(ids[2:])),
        positive=torch.eye(4, dtype=torch.bool)[:2],
        ignored=torch.zeros((2, 4), dtype=torch.bool),
        step=step,
    )


def _train(
    backbone: Path,
    out: Path,
    make: Callable[[int], RetrieverBatch],
    watchers: Watchers | None = None,
) -> tuple[dict[str, Any], list[int]]:
    pretrained = open_backbone(str(backbone))
    settings = RunSettings(data="", learning_rate=1e-2, warmup_steps=3, max_steps=STEPS, seed=1)
    module = RetrieverModule(
        EncoderModel(pretrained.layers),
        pretrained.embeddings,
        settings=settings,
        objective=Objective(temperature=0.05),
    )
    steps: list[int] = []

    def noted(step: int) -> RetrieverBatch:
        steps.append(step)
        return make(step)

    batches = StepBatches(noted, STEPS, lambda: module.global_step)
    fit(
        module,
        batches,
        replace(settings, out=str(out), checkpoint_steps=2, precision="32-true"),
        watchers,
    )
    return module.model.state_dict(), steps


@pytest.mark.parametrize("stop", [3, 5, 7])
def test_a_resumed_run_ends_with_the_same_weights(world: "World", stop: int) -> None:
    def stopping(step: int) -> RetrieverBatch:
        if step == stop:
            raise Stopped
        return _batch(step)

    whole, steps = _train(world.backbone, world.root / "whole", _batch)
    assert steps == list(range(STEPS))
    with pytest.raises(Stopped):
        _train(world.backbone, world.root / "stopped", stopping)
    assert (world.root / "stopped" / "checkpoints" / "last.ckpt").is_file()
    resumed, steps = _train(world.backbone, world.root / "stopped", _batch)
    assert 0 < steps[0] <= stop
    assert steps[-1] == STEPS - 1
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_finished_run_is_not_trained_again(world: "World") -> None:
    first, _ = _train(world.backbone, world.root / "run", _batch)
    second, steps = _train(world.backbone, world.root / "run", _batch)
    assert steps == []
    assert all(torch.equal(first[name], second[name]) for name in first)


def _command(kind: str, recipe: Path, out: Path) -> list[str]:
    run = "import sys; from relik.cli import main; main(sys.argv[1:])"
    arguments = ["train", kind, "--config", str(recipe), "--out", str(out)]
    return [sys.executable, "-c", run, *arguments]


def _kill_after(command: list[str], out: Path, steps: int) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        cost = spent(out)
        if cost is not None and cost.steps >= steps:
            break
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert (out / "checkpoints" / "last.ckpt").is_file()
    assert not (out / "model.safetensors").exists()


_EVERY_OPTION = """
typos = 0.3

[augmentation]
shorten = 0.5
entity_swap = 0.5
teams = 1

[curriculum]
share = 0.5

[early_stopping]
patience = 3
steps = 4
share = 0.2
"""


def _with_every_option(recipe: Path) -> Path:
    text = recipe.read_text().replace("max_tokens = 60\n", f"max_tokens = 60{_EVERY_OPTION}")
    switches = "gradient_checkpointing = true\npacking = true\npositive_unlabelled = false\n"
    recipe.write_text(switches + text)
    return recipe


@pytest.mark.slow
@pytest.mark.parametrize("way", ["retriever", "reader", "reader with every option"])
def test_a_killed_process_goes_on_where_it_was(world: "World", way: str) -> None:
    pytest.importorskip("onnx")
    kind = way.split()[0]
    whole, killed, base = (world.root / name for name in ("whole", "killed", "base"))
    recipe = world.retriever_recipe(max_steps=60, warmup_steps=5)
    if kind == "reader":
        made = CliRunner().invoke(app, ["retriever", "--config", str(recipe), "--out", str(base)])
        assert made.exit_code == 0
        recipe = world.reader_recipe(base / "bundle", max_steps=60, warmup_steps=5)
    if way.endswith("every option"):
        recipe = _with_every_option(recipe)
    subprocess.run(_command(kind, recipe, whole), check=True, capture_output=True)
    _kill_after(_command(kind, recipe, killed), killed, random.randint(2, 5) * 10)
    before = spent(killed)
    subprocess.run(_command(kind, recipe, killed), check=True, capture_output=True)
    after = spent(killed)
    assert before is not None
    assert after is not None
    # What the kill undid was paid for all the same.
    assert after.seconds["train"] > before.seconds["train"]
    assert after.steps >= before.steps
    figures = json.loads((killed / "metrics.json").read_text())
    assert figures["steps"] == 60 <= figures["steps_taken"] == after.steps
    assert list((killed / "tensorboard").glob("events.out.tfevents.*"))
    expected, found = (load_file(out / "model.safetensors") for out in (whole, killed))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    factors = [linear_schedule(4, 10)(step) for step in range(12)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4:10] == sorted(factors[4:10], reverse=True)
    assert factors[4] == 1.0
    assert factors[10:] == [0.0, 0.0]


def test_the_rate_can_stop_falling_above_zero() -> None:
    factors = [linear_schedule(4, 10, floor=0.4)(step) for step in range(12)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4:10] == sorted(factors[4:10], reverse=True)
    assert factors[4:6] == [1.0, pytest.approx(0.9)]
    assert factors[10:] == [0.4, 0.4]


def test_the_seconds_of_all_parts_of_a_run_add_up(tmp_path: Path) -> None:
    (tmp_path / "resolved.json").write_text('{"max_steps": 40}')
    rows = [(9, 5.0), (19, 9.0), (19, 4.0), (29, 8.5)]
    lines = [f'{{"step": {s}, "seconds": {t}, "loss": 2.5, "epoch": 0}}\n' for s, t in rows]
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    assert read_figures(tmp_path) == {"steps": 40, "seconds": 17.5, "final": {"loss": 2.5}}
