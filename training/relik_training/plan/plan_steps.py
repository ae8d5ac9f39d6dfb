"""Some real steps of a run, timed: the calibration of a plan."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import lightning
import numpy as np
import torch

from relik_training.plan.plan_fit import expected_seconds, spread_out
from relik_training.run.run_counts import count_tokens
from relik_training.run.trainer import BatchSource, OpenRun, RunSettings, Watchers, fit, plan_steps

# Batches that are counted, and steps that are taken of them.
_COUNTED, _TIMED = 128, 14
_COUNTING_S, _STEPS_S = 10.0, 45.0
_LEAST_TIMED = 4
# The first steps reserve memory and choose kernels.
_WARM_UP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """What the steps of a run cost.

    Args:
        seconds: Seconds of a step on average, the making of its batch included.
        tokens: Tokens of a step on average, padding included.
        pause_s: Seconds that a batch takes longer where a run stops for other work.
        checkpoint_s: Seconds of a checkpoint.
        checkpoint_bytes: Its size.
        counted: Batches whose tokens were counted.
        timed: Tokens and seconds of each step that was timed.
    """

    seconds: float
    tokens: float
    pause_s: float
    checkpoint_s: float
    checkpoint_bytes: int
    counted: int
    timed: tuple[tuple[int, float], ...]


def time_steps(run: OpenRun, data: BatchSource, config: RunSettings) -> StepCost:
    """Take some steps of a run.

    Args:
        run: The run.
        data: Its data, of all examples or of a sample.
        config: Settings; checkpoints go to `out`, a scratch folder.

    Returns:
        What steps cost.
    """
    plan = plan_steps(data, config)
    # Where a run stops for other work, that work is for the steps up to the next stop alone.
    reach = math.ceil(len(plan) / run.pauses) if run.pauses else len(plan)
    batches = _Calibration(data, plan[:reach])
    watch = _Watch(Path(config.out))
    fit(
        run.module,
        batches,
        out=Path(config.out),
        max_steps=_WARM_UP + _TIMED,
        # The watch writes the only one.
        checkpoint_steps=10**9,
        precision=config.precision,
        watchers=Watchers(callbacks=[watch]),
    )
    timed = list(zip(batches.taken, watch.seconds, strict=False))[_WARM_UP:]
    tokens = float(np.mean(batches.counted))
    return StepCost(
        seconds=expected_seconds([n for n, _ in timed], [s for _, s in timed], tokens),
        tokens=tokens,
        pause_s=max(0.0, batches.making[0] - median(batches.making)) if run.pauses else 0.0,
        checkpoint_s=watch.checkpoint_s,
        checkpoint_bytes=watch.checkpoint_bytes,
        counted=len(batches.counted),
        timed=tuple(timed),
    )


class _Calibration:
    """Batches that stand for all: some are counted, then those of all sizes are given.

    They are counted when training begins: making one may need a module that is in its trainer.
    They are drawn from the whole run, since a run may begin with what is easy.
    """

    def __init__(self, data: BatchSource, plan: list[list[int]]) -> None:
        self._data = data
        self._plan = plan
        self._steps = np.random.default_rng(0).permutation(len(plan))[:_COUNTED].tolist()
        self.counted: list[int] = []
        # Seconds that each of these took to make.
        self.making: list[float] = []
        # Tokens of each batch that was given.
        self.taken: list[int] = []

    def __iter__(self) -> Iterator[Any]:
        self._count()
        # The order of a plan is random: its first steps are a sample.
        chosen = spread_out(self.counted, _TIMED)
        mixed = np.random.default_rng(0).permutation(chosen).tolist()
        # The largest one tells how much memory is needed.
        warm_up = [int(np.argmax(self.counted)), *mixed, *mixed][:_WARM_UP]
        for place in (*warm_up, *(mixed[k % len(mixed)] for k in range(_TIMED))):
            self.taken.append(self.counted[place])
            yield self._batch(self._steps[place])

    def _count(self) -> None:
        began = last = time.monotonic()
        for step in self._steps:
            if len(self.counted) >= _TIMED and last - began > _COUNTING_S:
                break
            self.counted.append(count_tokens(self._batch(step)))
            now = time.monotonic()
            self.making.append(now - last)
            last = now

    def _batch(self, step: int) -> Any:
        return self._data.batch(self._plan[step], step)


class _Watch(lightning.Callback):
    """Notes the seconds of each step, ends in time, and writes a checkpoint in the end."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._began = self._last = 0.0
        self.seconds: list[float] = []
        self.checkpoint_s = 0.0
        self.checkpoint_bytes = 0

    def on_train_start(self, *_rest: object) -> None:
        self._last = time.monotonic()

    def on_train_batch_end(self, trainer: lightning.Trainer, *_rest: object) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.monotonic()
        self.seconds.append(now - self._last)
        if len(self.seconds) == 1:
            # Counting came before the first step.
            self._began = now
        elif len(self.seconds) >= _WARM_UP + _LEAST_TIMED and now - self._began > _STEPS_S:
            trainer.should_stop = True
        self._last = now

    def on_train_end(self, trainer: lightning.Trainer, *_rest: object) -> None:
        path = self._out / "checkpoints" / "plan.ckpt"
        began = time.monotonic()
        trainer.save_checkpoint(path)
        self.checkpoint_s = time.monotonic() - began
        self.checkpoint_bytes = path.stat().st_size
        path.unlink()
