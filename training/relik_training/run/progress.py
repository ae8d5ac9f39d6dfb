"""Progress on standard error: a bar at a terminal, a line every half minute elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Tell: TypeAlias = Callable[[str, int, int], None]
"""Called with a stage, how much of it is done, and how much there is."""

# Seconds between two lines.
_SECONDS = 30.0


def at_terminal() -> bool:
    """Tell whether standard error is a terminal."""
    return sys.stderr.isatty()


def progress_bar() -> Progress:
    """Make the bar that every command shows; not yet started."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


class StepProgress:
    """Shows the steps of a run, with losses, examples a second and the time that is left.

    Args:
        max_steps: Steps of the run.
        batch_size: Examples of a step.
        seconds: Seconds between two lines, where there is no terminal.
    """

    def __init__(self, max_steps: int, batch_size: int, *, seconds: float = _SECONDS) -> None:
        self._max_steps = max_steps
        self._batch_size = batch_size
        self._seconds = seconds
        self._bar = progress_bar() if at_terminal() else None

    def begin(self, step: int) -> None:
        """Begin after some steps of an earlier process."""
        self._first, self._began = step, time.monotonic()
        self._shown = self._began
        if self._bar is not None:
            self._task = self._bar.add_task("steps", total=self._max_steps, completed=step)
            self._bar.start()

    def step(self, step: int, figures: Mapping[str, float]) -> None:
        """Show a step: on the bar, or as a line where it is time and after the last one."""
        if self._bar is not None:
            shown = [f"{name} {float(value):.3f}" for name, value in figures.items()]
            self._bar.update(self._task, completed=step, description=" ".join(["steps", *shown]))
            return
        now = time.monotonic()
        if now - self._shown < self._seconds and step < self._max_steps:
            return
        self._shown = now
        seconds = max(now - self._began, 1e-9) / max(1, step - self._first)
        left = _clock((self._max_steps - step) * seconds)
        shown = [f"{name} {float(value):.4g}" for name, value in figures.items()]
        speed = f"{self._batch_size / seconds:.1f} examples/s"
        _write(", ".join([f"step {step} of {self._max_steps}", *shown, speed, f"{left} left"]))

    def end(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def told() -> Iterator[Tell]:
    """Show the progress of work in stages.

    Yields:
        What the work calls with its stage, how much is done, and how much there is.
    """
    if not at_terminal():
        yield _lines()
        return
    with progress_bar() as bar:
        tasks = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield tell


def _lines() -> Tell:
    """Write a line every half minute; none of work that takes less."""
    shown = time.monotonic()

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - shown >= _SECONDS:
            shown = time.monotonic()
            _write(f"{stage}: {done} of {total}")

    return tell


def _write(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()


def _clock(seconds: float) -> str:
    """Write a duration as hours, minutes and seconds: 1:02:03."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
