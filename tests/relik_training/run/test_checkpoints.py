"""A run that a signal ended says so, has its last step saved, and goes on to the same weights."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
lightning = pytest.importorskip("lightning")
pytest.importorskip("transformers")

from lightning.pytorch.demos.boring_classes import BoringModel  # noqa: E402 - needs lightning
from safetensors.torch import load_file  # noqa: E402 - needs torch

from relik_training.recipes.recipe import read_retriever_recipe  # noqa: E402
from relik_training.retriever.retriever_data import RetrieverBatch  # noqa: E402
from relik_training.retriever.retriever_run import RetrieverRun  # noqa: E402
from relik_training.run.checkpoints import LAST, SaveCheckpoints, Stopped, resumable  # noqa: E402
from relik_training.run.run_clock import spent  # noqa: E402
from relik_training.run.trainer import train  # noqa: E402
from tests.relik_training.run.test_trainer import _batch, _command, _train  # noqa: E402

if TYPE_CHECKING:
    from tests.relik_training.conftest import World


class _Noting(lightning.Callback):
    """Notes which step is saved before each step."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.saved: list[int] = []

    def on_train_batch_start(self, *_rest: object) -> None:
        held = torch.load(self._path, weights_only=False) if self._path.is_file() else {}
        self.saved.append(held.get("global_step", 0))


@pytest.mark.parametrize(
    ("every", "seconds", "expected"),
    [(10**9, 0.0, [0, 1, 2, 3, 4]), (2, 600.0, [0, 0, 2, 2, 4]), (10**9, 600.0, [0, 0, 0, 0, 0])],
)
def test_checkpoints_come_by_steps_by_time_and_at_the_end(
    tmp_path: Path, every: int, seconds: float, expected: list[int]
) -> None:
    saver = SaveCheckpoints(tmp_path, every=every, max_steps=5, seconds=seconds)
    noting = _Noting(tmp_path / LAST)
    trainer = lightning.Trainer(
        max_steps=5,
        accelerator="cpu",
        callbacks=[noting, saver],
        logger=False,
        limit_val_batches=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    model = BoringModel()
    data = torch.utils.data.DataLoader(torch.randn(8, 32))
    with pytest.warns():  # of few workers, which is what is wanted
        trainer.fit(model, data)
    assert noting.saved == expected
    assert torch.load(tmp_path / LAST, weights_only=False)["global_step"] == 5
    assert not (tmp_path / LAST).with_suffix(".partial").exists()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_run_after_its_step(world: "World", signum: int, code: int) -> None:
    def signalled(step: int) -> RetrieverBatch:
        if step == 5:
            signal.raise_signal(signum)
        return _batch(step)

    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    whole, _ = _train(world.backbone, world.root / "whole", _batch)
    with pytest.raises(Stopped, match=str(code)) as stopped:
        _train(world.backbone, world.root / "stopped", signalled)
    assert stopped.value.code == code
    assert "of 8, which is saved" in stopped.value.message
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before
    resumed, steps = _train(world.backbone, world.root / "stopped", _batch)
    assert 0 < steps[0] <= 5 < steps[-1]
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_signal_before_the_first_step_ends_with_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as stopped, resumable():
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.code == 143
    assert capsys.readouterr().err.count("\n") == 1
    assert signal.getsignal(signal.SIGTERM) == before


def _stopped_by(signum: int, command: list[str], out: Path, steps: int) -> str:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        cost = spent(out)
        if cost is not None and cost.steps >= steps:
            break
        time.sleep(0.002)
    os.kill(process.pid, signum)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signum, errors
    return str(errors)


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("kind", ["retriever", "reader"])
def test_a_signalled_process_goes_on_where_it_was(world: "World", kind: str, signum: int) -> None:
    pytest.importorskip("onnx")
    recipe = world.retriever_recipe(max_steps=60, warmup_steps=5, checkpoint_steps=1000)
    if kind == "reader":
        base = RetrieverRun(
            config=read_retriever_recipe(world.retriever_recipe(out=str(world.root / "base")))
        )
        train(base)
        settings: dict[str, Any] = {"max_steps": 60, "warmup_steps": 5, "checkpoint_steps": 1000}
        recipe = world.reader_recipe(str(base.end()["bundle"]), **settings)
        recipe.write_text(recipe.read_text() + "\n[evaluation]\nsteps = 10\nbest = true\n")
    whole, stopped = world.root / "whole", world.root / "stopped"
    subprocess.run(_command(kind, recipe, whole), check=True, capture_output=True)
    errors = _stopped_by(signum, _command(kind, recipe, stopped), stopped, 20)
    assert "of 60, which is saved: give the same command again to go on" in errors
    assert "Traceback" not in errors
    assert (stopped / "checkpoints" / LAST).is_file()
    assert not (stopped / "model.safetensors").exists()
    subprocess.run(_command(kind, recipe, stopped), check=True, capture_output=True)
    cost = spent(stopped)
    assert cost is not None
    # No step was lost.
    assert cost.steps == 60
    expected, found = (load_file(out / "model.safetensors") for out in (whole, stopped))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
