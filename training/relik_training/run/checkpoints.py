"""Checkpoints by steps, by time and at a signal: the same command goes on from the last one."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import lightning
from lightning.pytorch.callbacks import Checkpoint

LAST = "last.ckpt"
SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds of work that a kill may undo at most, whatever the recipe says of steps.
_SECONDS = 600.0

_Handler: TypeAlias = Callable[[int, FrameType | None], Any]


class Stopped(SystemExit):
    """Ctrl-C or SIGTERM ended a run that the same command resumes; exits with 130 or 143."""

    def __init__(self, signum: int, message: str) -> None:
        super().__init__(128 + signum)
        self.message = message


class SaveCheckpoints(Checkpoint):
    """Writes `last.ckpt`: after every so many steps, every ten minutes, at a signal, at the end.

    A signal ends training after the step that it came in; a second one ends the process.

    Args:
        folder: Folder of the checkpoints.
        every: Steps between two.
        max_steps: Steps of the run.
        seconds: Seconds between two.
    """

    def __init__(
        self, folder: Path, *, every: int, max_steps: int, seconds: float = _SECONDS
    ) -> None:
        self._path = folder / LAST
        self._every = every
        self._max_steps = max_steps
        self._seconds = seconds
        self._saved = time.monotonic()
        self.signum: int | None = None

    def on_train_start(self, *_rest: object) -> None:
        """Take over the signals, which the trainer gives back when it ends."""
        self._saved = time.monotonic()
        _handle(self._note)

    def on_train_batch_end(self, trainer: lightning.Trainer, *_rest: object) -> None:
        """Save where it is time."""
        step, late = trainer.global_step, time.monotonic() - self._saved >= self._seconds
        ends = step == self._max_steps or trainer.should_stop or self.signum is not None
        if step % self._every == 0 or late or ends:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            aside = self._path.with_suffix(".partial")
            trainer.save_checkpoint(aside)
            os.replace(aside, self._path)
            self._saved = time.monotonic()
        if self.signum is not None:
            trainer.should_stop = True

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:
            _stop(signum, frame)
        self.signum = signum


@contextmanager
def resumable() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end what can be resumed: one line on standard error, and `Stopped`."""
    before = _handle(_stop)
    try:
        yield
    except Stopped as stopped:
        sys.stderr.write(f"{stopped.message}\n")
        raise
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _stop(signum: int, _frame: FrameType | None) -> None:
    raise Stopped(signum, "stopped: give the same command again to go on from the last checkpoint")


def _handle(handler: _Handler) -> dict[int, Any]:
    """Handle both signals; give what handled them before. Only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {signum: signal.signal(signum, handler) for signum in SIGNALS}
