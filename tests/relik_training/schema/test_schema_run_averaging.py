"""A run that averages its weights ends with the average, stopped or not."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("transformers")

from relik_training.retriever.retriever_data import RetrieverBatch  # noqa: E402
from relik_training.run.trainer import Watchers  # noqa: E402
from relik_training.schema.schema_run import Averaging  # noqa: E402 - needs torch
from tests.relik_training.run.test_trainer import STEPS, Stopped, _batch, _train  # noqa: E402

if TYPE_CHECKING:
    from tests.relik_training.conftest import World

DECAY = 0.75
Weights = dict[str, Any]


class _Noting(Averaging):
    """Notes the weights after each step, as they were trained."""

    def __init__(self) -> None:
        super().__init__(DECAY)
        self.seen: list[Weights] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *outcome: Any) -> None:
        super().on_train_batch_end(trainer, pl_module, *outcome)
        self.seen.append({k: v.clone() for k, v in pl_module.model.state_dict().items()})


def _averaged(
    world: "World", name: str, make: Callable[[int], RetrieverBatch] = _batch
) -> tuple[Weights, _Noting]:
    noting = _Noting()
    watchers = Watchers(callbacks=[noting])
    ended, _ = _train(world.backbone, world.root / name, make, watchers)
    return ended, noting


def test_it_ends_with_the_moving_average_of_its_steps(world: "World") -> None:
    ended, noting = _averaged(world, "run")
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

    whole, _ = _averaged(world, "whole")
    with pytest.raises(Stopped):
        _averaged(world, "stopped", stopping)
    resumed, _ = _averaged(world, "stopped")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_run_killed_behind_its_last_step_has_the_average_too(world: "World") -> None:
    first, _ = _averaged(world, "run")
    again, noting = _averaged(world, "run")
    assert noting.seen == []
    assert all(torch.equal(first[name], again[name]) for name in first)
