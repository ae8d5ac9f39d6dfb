"""What each step of a run costs: examples, tokens, memory, noted by the clock of the run."""

import dataclasses
from pathlib import Path

import lightning
import torch

from relik_training.run.run_clock import TRAIN, tick


def count_tokens(batch: object) -> int:
    """Count the tokens that a model sees of a batch, padding included.

    Args:
        batch: A batch of any run: a dataclass, its token ids in arrays named `ids`, themselves or
            in the dataclasses that it holds.

    Returns:
        Tokens; 0 where it has no such array.
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
    """Tell the most memory that this process has held on the accelerator.

    Returns:
        Bytes; 0 without one.
    """
    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0


class Counting(lightning.Callback):
    """Keeps the clock of a run: steps, samples, tokens and memory, at each logged step.

    Args:
        out: Folder of the run.
        batch_size: Examples per step.
        every: Steps between two that are logged.
    """

    def __init__(self, out: Path, batch_size: int, every: int) -> None:
        self._out = out
        self._batch_size = batch_size
        self._every = every
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
        """Count a step.

        Args:
            batch: Its batch.
        """
        self._steps += 1
        self._tokens += count_tokens(batch)
        if self._steps % self._every == 0:
            self._tell()

    def on_train_end(self, trainer: lightning.Trainer, *_rest: object) -> None:
        """Tell what was done since the last tick, and log the last step, whichever it is.

        Args:
            trainer: Has the figures of the step.
        """
        self._tell()
        if self._steps and trainer.global_step % self._every:
            figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
            for log in trainer.loggers:
                log.log_metrics(figures, trainer.global_step - 1)

    def _tell(self) -> None:
        done = {
            "steps": self._steps,
            "samples": self._steps * self._batch_size,
            "tokens": self._tokens,
            "gpu_memory_bytes": gpu_memory(),
        }
        tick(self._out, TRAIN, done)
