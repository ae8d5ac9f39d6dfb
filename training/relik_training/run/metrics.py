"""Time, memory and disk of a run: planned in plan.json, measured in metrics.json."""

import dataclasses
import gc
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from relik_training.run.run_clock import (
    BUNDLE,
    DONE,
    PREPARE,
    TRAIN,
    Spent,
    give_back,
    spent,
    tick,
)
from relik_training.run.run_files import Training, read_figures, settings_key

METRICS, PLAN = "metrics.json", "plan.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run costs, from its first reading to its bundle.

    Args:
        prepare_s: Seconds until the first step: reading, tokens, candidates.
        train_s: Seconds of all steps, with their checkpoints and measurements.
        bundle_s: Seconds after the last step: export, indexes, calibration.
        total_s: Seconds of all three.
        samples_per_s: Examples that training takes a second.
        tokens_per_s: Tokens of these, padding included.
        memory_bytes: Most resident memory.
        gpu_memory_bytes: Most memory of the accelerator; 0 without one.
        disk_bytes: Size of the folder of the run in the end.
    """

    prepare_s: float
    train_s: float
    bundle_s: float
    total_s: float
    samples_per_s: float
    tokens_per_s: float
    memory_bytes: int
    gpu_memory_bytes: int
    disk_bytes: int

    def as_dict(self) -> dict[str, float]:
        """Give the figures for JSON, to four digits."""
        return {
            name: value if isinstance(value, int) else float(f"{value:.4g}")
            for name, value in dataclasses.asdict(self).items()
        }


def relative_errors(planned: Budget, measured: Budget) -> dict[str, float]:
    """Give planned / measured - 1 of each measured figure: 0.1 is planned a tenth too high."""
    found, given = dataclasses.asdict(measured), dataclasses.asdict(planned)
    return {name: round(given[name] / found[name] - 1, 3) for name in found if found[name]}


def budget_table(planned: Budget | None, measured: Budget | None) -> Table:
    """Lay out budgets for people: a row for each figure; with both, the error of the plan."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    columns = [(name, each) for name, each in (("plan", planned), ("run", measured)) if each]
    for name, _ in columns:
        table.add_column(name, justify="right")
    errors: dict[str, float] = {}
    if planned is not None and measured is not None:
        table.add_column("plan is off by", justify="right")
        errors = relative_errors(planned, measured)
    for name, (label, shown) in _ROWS.items():
        values = [getattr(each, name) for _, each in columns]
        if any(values):
            error = [f"{errors[name]:+.0%}"] if name in errors else []
            table.add_row(label, *(shown(value) for value in values), *error)
    return table


def duration_text(seconds: float) -> str:
    """Write a duration in seconds, minutes or hours."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def size_text(size: float) -> str:
    """Write a size in bytes as MB or GB, decimal."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


_ROWS: dict[str, tuple[str, Callable[[float], str]]] = {
    "prepare_s": ("data", duration_text),
    "train_s": ("steps", duration_text),
    "bundle_s": ("bundle", duration_text),
    "total_s": ("all", duration_text),
    "samples_per_s": ("samples a second", "{:.1f}".format),
    "tokens_per_s": ("tokens a second", "{:.0f}".format),
    "memory_bytes": ("peak memory", size_text),
    "gpu_memory_bytes": ("peak GPU memory", size_text),
    "disk_bytes": ("disk", size_text),
}


def write_plan(config: Training, budget: Budget, parts: Mapping[str, object]) -> Path:
    """Write the plan of a run into its folder, for the run to be compared with.

    Args:
        config: Settings of the run.
        budget: Its costs.
        parts: JSON values that the costs were computed from.
    """
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    settings = settings_key(config)
    plan = {"format": _FORMAT, "settings": settings, "budget": budget.as_dict(), **parts}
    return _write(out / PLAN, plan)


def read_plan(config: Training) -> Budget | None:
    """Read what was planned for a run; None without a plan, or with one of other settings."""
    try:
        plan = json.loads((Path(config.out) / PLAN).read_text(encoding="utf-8"))
        if (plan["format"], plan["settings"]) != (_FORMAT, settings_key(config)):
            return None
        return Budget(**plan["budget"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


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
        """Give the figures for JSON; `plan` and `plan_error` are None without a plan."""
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
    # Trainer and callbacks refer to each other: without this the bundle is built on top of them.
    gc.collect()
    give_back()
    made = build()
    tick(out, DONE)
    metrics = read_metrics(config)
    _write(out / METRICS, metrics.as_dict())
    return made, metrics


def read_metrics(config: Training) -> RunMetrics:
    """Read the figures of a run, over all its parts where it was stopped and resumed."""
    out = Path(config.out)
    cost = spent(out) or Spent(seconds={})
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
        planned=read_plan(config),
    )


def folder_bytes(folder: Path) -> int:
    """Add up the sizes of all files in a folder, in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _write(path: Path, values: Mapping[str, object]) -> Path:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    return partial.replace(path)
