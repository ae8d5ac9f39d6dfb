"""Time, memory and disk of a run: what a plan predicts and what the run then measures."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run costs, from its first reading to its bundle.

    Args:
        prepare_s: Seconds until the first step: reading, tokens, candidates.
        train_s: Seconds of all steps, with their checkpoints.
        bundle_s: Seconds after the last step: export, indexes, calibration.
        total_s: Seconds of all three.
        samples_per_s: Examples that training takes a second.
        tokens_per_s: Tokens of these, padding included.
        memory_bytes: Most resident memory.
        gpu_memory_bytes: Most memory of the accelerator; 0 without one.
        disk_bytes: What the folder of the run holds in the end.
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
        """Give the figures for JSON.

        Returns:
            Figures by name, rounded to what they are worth.
        """
        return {
            name: value if isinstance(value, int) else float(f"{value:.4g}")
            for name, value in dataclasses.asdict(self).items()
        }


def relative_errors(planned: Budget, measured: Budget) -> dict[str, float]:
    """Compare a plan with what came.

    Args:
        planned: The plan.
        measured: The run.

    Returns:
        For each figure that was measured, planned / measured - 1: 0.1 is a tenth too much.
    """
    found, given = dataclasses.asdict(measured), dataclasses.asdict(planned)
    return {name: round(given[name] / found[name] - 1, 3) for name in found if found[name]}


def budget_table(planned: Budget | None, measured: Budget | None) -> Table:
    """Lay out budgets for people.

    Args:
        planned: The plan, if there is one.
        measured: The run, if there was one.

    Returns:
        A row for each figure; with both, how far the plan was off.
    """
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


def told_seconds(seconds: float) -> str:
    """Write a duration for people.

    Args:
        seconds: Seconds.

    Returns:
        Seconds, minutes or hours, whichever is near.
    """
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def told_bytes(size: float) -> str:
    """Write a size for people.

    Args:
        size: Bytes.

    Returns:
        MB or GB, decimal.
    """
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


_ROWS: dict[str, tuple[str, Callable[[float], str]]] = {
    "prepare_s": ("data", told_seconds),
    "train_s": ("steps", told_seconds),
    "bundle_s": ("bundle", told_seconds),
    "total_s": ("all", told_seconds),
    "samples_per_s": ("samples a second", "{:.1f}".format),
    "tokens_per_s": ("tokens a second", "{:.0f}".format),
    "memory_bytes": ("peak memory", told_bytes),
    "gpu_memory_bytes": ("peak GPU memory", told_bytes),
    "disk_bytes": ("disk", told_bytes),
}
