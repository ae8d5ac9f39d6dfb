"""The prediction that waits in the folder of a run until the run can be held against it."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from relik_training.plan.budget import Budget

FILE = "plan.json"
_FORMAT = 1


def write_plan(out: Path, plan: Mapping[str, object]) -> Path:
    """Write a plan.

    Args:
        out: Folder of the run; made where absent.
        plan: JSON values; `settings` tells which settings it is of, `budget` has the figures.

    Returns:
        The file.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / FILE
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"format": _FORMAT, **plan}, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def read_plan(out: Path, settings: str) -> Budget | None:
    """Read what was planned for a run.

    Args:
        out: Folder of the run.
        settings: Key of its settings.

    Returns:
        The figures; None where there is no plan, or one of other settings.
    """
    try:
        plan = json.loads((out / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    names = {field.name for field in dataclasses.fields(Budget)}
    if not isinstance(plan, dict) or (plan.get("format"), plan.get("settings")) != (
        _FORMAT,
        settings,
    ):
        return None
    figures = plan.get("budget")
    if not isinstance(figures, dict) or set(figures) != names:
        return None
    return Budget(**figures)
