"""A run that averages its weights ends with the average, stopped or not."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("transformers")

from relik.retriever.model import EncoderModel  # noqa: E402 - needs torch
from relik_training.averaging import Averaging  # noqa: E402
from relik_training.backbone import open_backbone  # noqa: E402
from relik_training.batches import StepBatches  # noqa: E402
from relik_training.retriever import (  # noqa: E402
    Objective,
    RetrieverBatch,
    RetrieverModule,
    Tokens,
)
from relik_training.runs import Watchers, fit  # noqa: E402

if TYPE_CHECKING:
    from tests.relik_training.conftest import World

STEPS = 6
DECAY = 0.75
Weights = dict[str, Any]


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


class _Noting(Averaging):
    """Notes the weights after each step, as they were trained."""

    def __init__(self) -> None:
        super().__init__(DECAY)
        self.seen: list[Weights] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *outcome: Any) -> None:
        super().on_train_batch_end(trainer, pl_module, *outcome)
        self.seen.append({k: v.clone() for k, v in pl_module.model.state_dict().items()})


def _train(
    backbone: Path, out: Path, make: Callable[[int], RetrieverBatch] = _batch
) -> tuple[Weights, _Noting]:
    pretrained = open_backbone(str(backbone))
    module = RetrieverModule(
        EncoderModel(pretrained.layers),
        pretrained.embeddings,
        learning_rate=1e-2,
        warmup_steps=1,
        max_steps=STEPS,
        objective=Objective(temperature=0.05),
        seed=1,
    )
    noting = _Noting()
    fit(
        module,
        StepBatches(make, STEPS, lambda: module.global_step),
        out=out,
        max_steps=STEPS,
        checkpoint_steps=2,
        precision="32-true",
        watchers=Watchers(callbacks=[noting]),
    )
    return module.model.state_dict(), noting


def test_it_ends_with_the_moving_average_of_its_steps(world: "World") -> None:
    ended, noting = _train(world.backbone, world.root / "run")
    assert len(noting.seen) == STEPS
    name = max(ended, key=lambda key: ended[key].numel())
    average = noting.seen[0][name]
    for later in noting.seen[1:]:
        average = DECAY * average + (1 - DECAY) * later[name]
    assert torch.allclose(ended[name], average, atol=1e-6)
    assert not torch.equal(ended[name], noting.seen[-1][name])


@pytest.mark.parametrize("stop", [3, 5])
def test_a_stopped_run_ends_with_the_same_average(world: "World", stop: int) -> None:
    def stopping(step: int) -> RetrieverBatch:
        if step == stop:
            raise Stopped
        return _batch(step)

    whole, _ = _train(world.backbone, world.root / "whole")
    with pytest.raises(Stopped):
        _train(world.backbone, world.root / "stopped", stopping)
    resumed, _ = _train(world.backbone, world.root / "stopped")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_run_killed_behind_its_last_step_has_the_average_too(world: "World") -> None:
    first, _ = _train(world.backbone, world.root / "run")
    again, noting = _train(world.backbone, world.root / "run")
    assert noting.seen == []
    assert all(torch.equal(first[name], again[name]) for name in first)
