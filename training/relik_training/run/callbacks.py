"""Callbacks that watch a run: its clock, its progress, its memory."""

import dataclasses
from pathlib import Path

import lightning
import torch

from relik_training.run.progress import progress_bar
from relik_training.run.run_clock import TRAIN, tick

LOGGED = 10
"""Steps between two that are logged."""


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
            cells = 1
            for length in value.shape:
                cells *= int(length)
            total += cells
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
        if self._steps and trainer.global_step % LOGGED:
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


class ProgressBar(lightning.Callback):
    """Shows steps and losses on standard error, so that standard output has the answer alone."""

    def __init__(self, max_steps: int) -> None:
        self._max_steps = max_steps
        self._progress = progress_bar()

    def on_train_start(
        self, trainer: lightning.Trainer, _module: lightning.LightningModule
    ) -> None:
        """Begin."""
        self._task = self._progress.add_task(
            "steps", total=self._max_steps, completed=trainer.global_step
        )
        self._progress.start()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        _module: lightning.LightningModule,
        *_outcome: object,
    ) -> None:
        """Show a step."""
        shown = [f"{name} {value:.3f}" for name, value in trainer.progress_bar_metrics.items()]
        self._progress.update(
            self._task, completed=trainer.global_step, description=" ".join(["steps", *shown])
        )

    def teardown(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, stage: str
    ) -> None:
        """End."""
        self._progress.stop()
