"""Plans and runs are shown side by side."""

from dataclasses import replace

import pytest
from rich.console import Console

from relik_training.run.metrics import (
    Budget,
    budget_table,
    duration_text,
    relative_errors,
    size_text,
)

RUN = Budget(
    prepare_s=100.0,
    train_s=400.0,
    bundle_s=0.0,
    total_s=500.0,
    samples_per_s=10.0,
    tokens_per_s=1234.5678,
    memory_bytes=2_000_000_000,
    gpu_memory_bytes=0,
    disk_bytes=3_000_000,
)


def _shown(planned: Budget | None, measured: Budget | None) -> str:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(budget_table(planned, measured))
    return captured.get()


def test_an_error_is_of_what_was_measured() -> None:
    planned = replace(RUN, train_s=300.0, memory_bytes=2_200_000_000)
    errors = relative_errors(planned, RUN)
    assert errors["train_s"] == -0.25
    assert errors["memory_bytes"] == 0.1
    assert errors["samples_per_s"] == 0.0
    # What was not measured has no error.
    assert "gpu_memory_bytes" not in errors
    assert "bundle_s" not in errors


def test_figures_are_rounded_to_what_they_are_worth() -> None:
    assert RUN.as_dict()["tokens_per_s"] == 1235.0
    assert RUN.as_dict()["memory_bytes"] == 2_000_000_000


def test_a_plan_stands_beside_its_run() -> None:
    both = _shown(replace(RUN, train_s=300.0), RUN)
    assert "plan is off by" in both
    assert "-25%" in both
    assert "2.00 GB" in both
    alone = _shown(RUN, None)
    assert "plan is off by" not in alone
    assert "GPU" not in alone


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.44, "0.4 s"), (80.0, "80.0 s"), (510.0, "8.5 min"), (5400.0, "1.5 h")],
)
def test_durations_are_shown_in_the_nearest_unit(seconds: float, shown: str) -> None:
    assert duration_text(seconds) == shown


def test_sizes_are_shown_in_mega_or_gigabytes() -> None:
    assert (size_text(2_500_000), size_text(1_500_000_000)) == ("2.5 MB", "1.50 GB")
