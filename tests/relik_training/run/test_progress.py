"""Without a terminal a run writes lines: where it is, how fast, and how long it will take."""

import re
import time

import pytest

from relik_training.run.progress import StepProgress, told

LINE = re.compile(
    r"\d\d:\d\d:\d\d step 4 of 10, loss 1\.235, \d+\.\d examples/s, \d:\d\d:\d\d left\n"
)


def test_a_line_has_step_loss_speed_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    shown = StepProgress(10, 8, seconds=0.0)
    shown.begin(2)
    time.sleep(0.02)
    shown.step(4, {"loss": 1.23456})
    shown.end()
    assert LINE.fullmatch(capsys.readouterr().err)


def test_lines_come_every_so_many_seconds_and_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = StepProgress(1000, 8)
    shown.begin(0)
    for step in range(1, 1001):
        shown.step(step, {"loss": 1.0})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "step 1000 of 1000" in lines[0]
    assert lines[0].endswith("0:00:00 left")


def test_short_stages_write_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with told() as tell:
        tell("records", 1, 2)
        tell("records", 2, 2)
    assert capsys.readouterr().err == ""


def test_long_stages_write_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with told() as tell:
        tell("records", 1, 2)
        later = time.monotonic() + 31
        monkeypatch.setattr(time, "monotonic", lambda: later)
        tell("records", 2, 2)
    assert capsys.readouterr().err.endswith(" records: 2 of 2\n")
