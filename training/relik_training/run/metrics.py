"""What a run ends with beside its bundle: its figures, next to those that were planned."""

import gc
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from relik_training.plan.budget import Budget, relative_errors
from relik_training.plan.plan_file import read_plan
from relik_training.run.memory import give_back
from relik_training.run.run_clock import BUNDLE, DONE, PREPARE, TRAIN, Spent, spent, tick
from relik_training.run.run_files import Training, read_figures, settings_key

FILE = "metrics.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMetrics:
    """What a finished run measured, and what was planned for it.

    Args:
        figures: Steps, seconds of training and last losses, as in the manifest of the bundle.
        steps_taken: Steps that were taken, with those that a kill undid.
        measured: What the run cost.
        planned: What it was to cost, if there was a plan of these settings.
    """

    figures: dict[str, object]
    steps_taken: int
    measured: Budget
    planned: Budget | None

    def as_dict(self) -> dict[str, object]:
        """Give the figures for JSON.

        Returns:
            Values; `plan` and `plan_error` are None without a plan. An error is
            planned / measured - 1.
        """
        planned = self.planned
        return {
            "steps": self.figures["steps"],
            "steps_taken": self.steps_taken,
            "final": self.figures["final"],
            **self.measured.as_dict(),
            "plan": None if planned is None else planned.as_dict(),
            "plan_error": None if planned is None else relative_errors(planned, self.measured),
        }


def end_run(
    config: Training, build: Callable[[], dict[str, object]]
) -> tuple[dict[str, object], RunMetrics]:
    """Make the bundle of a run that has trained, and write metrics.json into its folder.

    Args:
        config: Settings of the run.
        build: Makes the bundle.

    Returns:
        What `build` returned, and the figures of the whole run.
    """
    out = Path(config.out)
    tick(out, BUNDLE)
    # What has trained is gone, but its parts name each other, and the heap keeps their room: the
    # bundle would be built on top of it.
    gc.collect()
    give_back()
    made = build()
    tick(out, DONE)
    metrics = read_metrics(config)
    text = json.dumps(metrics.as_dict(), indent=1) + "\n"
    partial = out / f"{FILE}.partial"
    partial.write_text(text, encoding="utf-8")
    partial.replace(out / FILE)
    return made, metrics


def read_metrics(config: Training) -> RunMetrics:
    """Read the figures of a run off what it kept.

    Args:
        config: Settings of the run.

    Returns:
        The figures, of all its parts where it was stopped and went on.
    """
    out = Path(config.out)
    cost = spent(out) or _NOTHING
    seconds = {stage: cost.seconds.get(stage, 0.0) for stage in (PREPARE, TRAIN, BUNDLE)}
    trained = seconds[TRAIN]
    return RunMetrics(
        figures=read_figures(out),
        steps_taken=cost.steps,
        measured=Budget(
            prepare_s=seconds[PREPARE],
            train_s=trained,
            bundle_s=seconds[BUNDLE],
            total_s=sum(seconds.values()),
            samples_per_s=cost.samples / trained if trained else 0.0,
            tokens_per_s=cost.tokens / trained if trained else 0.0,
            memory_bytes=cost.memory_bytes,
            gpu_memory_bytes=cost.gpu_memory_bytes,
            disk_bytes=folder_bytes(out),
        ),
        planned=read_plan(out, settings_key(config)),
    )


def folder_bytes(folder: Path) -> int:
    """Tell how much a folder holds.

    Args:
        folder: The folder.

    Returns:
        Bytes of all files in it.
    """
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


_NOTHING = Spent(seconds={}, steps=0, samples=0, tokens=0, memory_bytes=0, gpu_memory_bytes=0)
