"""Figures go to every log, through kills, and nothing that a log does ends a run."""

import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("tensorboard")

from relik_training.run.callbacks import count_tokens  # noqa: E402 - needs torch
from relik_training.run.run_clock import read_rows  # noqa: E402 - stands with the others
from relik_training.run.run_logs import Events, JsonLines, open_logs  # noqa: E402


def _scalars(folder: Path) -> dict[int, float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {event.step: round(event.value, 3) for event in events.Scalars("loss")}


def test_what_was_logged_is_there_without_an_end(tmp_path: Path) -> None:
    for log in (JsonLines(tmp_path / "m.jsonl"), Events(tmp_path / "tensorboard")):
        log.log_metrics({"loss": 2.5, "epoch": 0}, 9)
        log.log_metrics({"loss": 1.5, "epoch": 0}, 19)
    rows = read_rows(tmp_path / "m.jsonl")
    assert [(row["step"], row["loss"]) for row in rows] == [(9, 2.5), (19, 1.5)]
    assert rows[0]["seconds"] <= rows[1]["seconds"]
    assert _scalars(tmp_path / "tensorboard") == {9: 2.5, 19: 1.5}


def test_a_resumed_run_tells_its_steps_anew(tmp_path: Path) -> None:
    killed = Events(tmp_path)
    for step, loss in ((9, 3.0), (19, 2.0), (29, 1.0)):
        killed.log_metrics({"loss": loss}, step)
    # Files are read in the order of their names, which have the second they were begun in.
    time.sleep(1.1)
    resumed = Events(tmp_path)
    for step, loss in ((19, 2.5), (29, 1.5), (39, 0.5)):
        resumed.log_metrics({"loss": loss}, step)
    resumed.finalize("success")
    assert _scalars(tmp_path) == {9: 3.0, 19: 2.5, 29: 1.5, 39: 0.5}


def test_every_run_has_both_logs(tmp_path: Path) -> None:
    kinds = [type(log).__name__ for log in open_logs(tmp_path)]
    assert kinds[:2] == ["JsonLines", "Events"]


@pytest.mark.parametrize(
    ("variables", "kept"),
    [
        ({"WANDB_MODE": "offline"}, True),
        ({"WANDB_MODE": "disabled"}, False),
        # Without a key nothing can be sent.
        ({}, True),
        pytest.param(
            {"WANDB_API_KEY": "a" * 40, "WANDB_BASE_URL": "http://127.0.0.1:9"},
            True,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_weights_and_biases_never_ends_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], kept: bool
) -> None:
    wandb = pytest.importorskip("wandb")
    from relik_training.run.run_logs import WeightsAndBiases

    # What an earlier run of this process read of the environment is forgotten.
    wandb.teardown()
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    log = WeightsAndBiases(tmp_path)
    log.log_metrics({"loss": 2.5}, 9)
    log.log_metrics({"loss": 1.5}, 19)
    log.finalize("success")
    assert bool(list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))) == kept


def test_tokens_are_counted_with_their_padding() -> None:
    from relik_training.retriever.retriever_data import RetrieverBatch, Tokens

    ids = torch.zeros((3, 5), dtype=torch.int64)
    mask = torch.zeros((3, 2), dtype=torch.bool)
    batch = RetrieverBatch(
        windows=Tokens(ids, ids),
        passages=Tokens(ids[:2], ids[:2]),
        positive=mask,
        ignored=mask,
        step=0,
    )
    assert count_tokens(batch) == 25
    assert count_tokens(object()) == 0
