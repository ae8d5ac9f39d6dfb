"""Callbacks that watch a run: its clock, its progress, its memory."""

import dataclasses
import math
import time
from pathlib import Path

import lightning
import torch

from relik_training.run.best_weights import KeepBest
from relik_training.run.progress import StepProgress
from relik_training.run.run_clock import TRAIN, give_back, tick

LOGGED = 10
"""Steps between two that are logged."""
# Seconds between two times that memory is given back: it costs some milliseconds, and taking it
# again costs more.
_SECONDS = 10.0


def count_tokens(batch: object) -> int:
    """Count the tokens of a batch, padding included.

    Args:
        batch: A batch of any run: a dataclass, its token ids in arrays named `ids`, themselves or
            in the dataclasses that it holds; 0 where it has no such array.
    """
    if not dataclasses.is_dataclass(batch):
        return 0
    total = 0
    for field in dataclasses.fields(batch):
        value = getattr(batch, field.name)
        if field.name == "ids" and hasattr(value, "shape"):
            total += math.prod(value.shape)
        else:
            total += count_tokens(value)
    return total


def gpu_memory() -> int:
    """Give the most bytes that this process has held on the accelerator; 0 without one."""
    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0


class Counting(lightning.Callback):
    """Keeps the clock of a run: steps, samples, tokens and memory, at each logged step."""

    def __init__(self, out: Path, batch_size: int) -> None:
        self._out = out
        self._batch_size = batch_size
        self._steps = self._tokens = 0

    def on_train_start(self, *_rest: object) -> None:
        """Begin the stage."""
        self._steps = self._tokens = 0
        tick(self._out, TRAIN)

    def on_train_batch_end(
        self,
        _trainer: lightning.Trainer,
        _module: lightning.LightningModule,
        _outputs: object,
        batch: object,
        _index: int,
    ) -> None:
        """Count a step."""
        self._steps += 1
        self._tokens += count_tokens(batch)
        if self._steps % LOGGED == 0:
            self._tick()

    def on_train_end(self, trainer: lightning.Trainer, *_rest: object) -> None:
        """Note the steps since the last tick, and log the last step, whichever it is."""
        self._tick()
        # The trainer itself logs the step that it is stopped at.
        if self._steps and trainer.global_step % LOGGED and not trainer.should_stop:
            figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
            for log in trainer.loggers:
                log.log_metrics(figures, trainer.global_step - 1)

    def _tick(self) -> None:
        done = {
            "steps": self._steps,
            "samples": self._steps * self._batch_size,
            "tokens": self._tokens,
            "gpu_memory_bytes": gpu_memory(),
        }
        tick(self._out, TRAIN, done)


class ShowingProgress(lightning.Callback):
    """Shows steps and losses on standard error, so that standard output has the answer alone."""

    def __init__(self, max_steps: int, batch_size: int) -> None:
        self._progress = StepProgress(max_steps, batch_size)

    def on_train_start(self, trainer: lightning.Trainer, *_rest: object) -> None:
        """Begin."""
        self._progress.begin(trainer.global_step)

    def on_train_batch_end(self, trainer: lightning.Trainer, *_rest: object) -> None:
        """Show a step."""
        figures = dict(trainer.progress_bar_metrics)
        for watcher in trainer.callbacks:
            figures |= watcher.shown if isinstance(watcher, KeepBest) else {}
        self._progress.step(trainer.global_step, figures)

    def teardown(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, stage: str
    ) -> None:
        """End."""
        self._progress.end()


class GivingBack(lightning.Callback):
    """Gives free memory of the heap back to the machine now and then."""

    def __init__(self) -> None:
        self._given = time.monotonic()

    def on_train_batch_end(self, *_rest: object) -> None:
        """Give back after a step, where the last time is some seconds ago."""
        if time.monotonic() - self._given >= _SECONDS:
            give_back()
            self._given = time.monotonic()
