"""What a run costs adds up over its parts, whatever ended them."""

import subprocess
import sys
import time
from pathlib import Path

from relik_training.run.run_clock import (
    BUNDLE,
    CLOCK,
    DONE,
    PREPARE,
    TRAIN,
    append_row,
    peak_memory,
    read_rows,
    spent,
    tick,
)


def _rows(out: Path, *rows: tuple[str, str, float, dict[str, int]]) -> None:
    for process, stage, at, done in rows:
        row = {"process": process, "stage": stage, "at": at, "memory_bytes": 7, **done}
        append_row(out / CLOCK, row)


def test_stages_last_until_the_next_begins(tmp_path: Path) -> None:
    _rows(
        tmp_path,
        ("a", PREPARE, 100.0, {}),
        ("a", TRAIN, 103.0, {}),
        ("a", TRAIN, 110.0, {"steps": 10, "samples": 20, "tokens": 900}),
        ("a", DONE, 111.0, {}),
        ("a", BUNDLE, 150.0, {}),
        ("a", DONE, 152.5, {}),
    )
    cost = spent(tmp_path)
    assert cost is not None
    assert cost.seconds == {PREPARE: 3.0, TRAIN: 8.0, BUNDLE: 2.5}
    assert (cost.steps, cost.samples, cost.tokens) == (10, 20, 900)


def test_parts_add_up_though_their_clocks_begin_elsewhere(tmp_path: Path) -> None:
    _rows(
        tmp_path,
        ("a", PREPARE, 5000.0, {}),
        ("a", TRAIN, 5001.0, {}),
        ("a", TRAIN, 5004.0, {"steps": 10, "memory_bytes": 9}),
        # Killed here; another process goes on, after a boot.
        ("b", PREPARE, 20.0, {}),
        ("b", TRAIN, 22.0, {}),
        ("b", TRAIN, 30.0, {"steps": 25, "gpu_memory_bytes": 4}),
        ("b", DONE, 30.0, {}),
    )
    cost = spent(tmp_path)
    assert cost is not None
    assert cost.seconds == {PREPARE: 3.0, TRAIN: 11.0}
    assert cost.steps == 35
    assert (cost.memory_bytes, cost.gpu_memory_bytes) == (9, 4)


def test_a_process_that_trains_again_counts_anew(tmp_path: Path) -> None:
    _rows(
        tmp_path,
        ("a", TRAIN, 0.0, {}),
        ("a", TRAIN, 1.0, {"steps": 10}),
        ("a", DONE, 1.0, {}),
        ("a", TRAIN, 9.0, {}),
        ("a", TRAIN, 10.0, {"steps": 4}),
    )
    cost = spent(tmp_path)
    assert cost is not None
    assert (cost.steps, cost.seconds) == (14, {TRAIN: 2.0})


def test_a_killed_process_has_kept_its_time(tmp_path: Path) -> None:
    code = """
import os, signal, sys, time
from pathlib import Path
from relik_training.run.run_clock import TRAIN, tick
out = Path(sys.argv[1])
tick(out, TRAIN)
time.sleep(0.3)
tick(out, TRAIN, {"steps": 3})
os.kill(os.getpid(), signal.SIGKILL)
"""
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
        assert killed.returncode < 0
    cost = spent(tmp_path)
    assert cost is not None
    assert cost.steps == 6
    assert 0.6 <= cost.seconds[TRAIN] < 20


def test_a_line_that_was_cut_short_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_row(path, {"step": 1})
    with path.open("a") as out:
        out.write('{"step": 2, "lo')
    append_row(path, {"step": 3})
    assert read_rows(path) == [{"step": 1}, {"step": 3}]


def test_a_run_without_a_clock_has_no_cost(tmp_path: Path) -> None:
    assert spent(tmp_path) is None
    assert read_rows(tmp_path / "none.jsonl") == []


def test_ticks_tell_time_and_memory(tmp_path: Path) -> None:
    held = bytearray(b"x") * 30_000_000
    tick(tmp_path, PREPARE)
    time.sleep(0.3)  # what is told is rounded to a tenth of a second
    tick(tmp_path, DONE)
    cost = spent(tmp_path)
    assert cost is not None
    assert 0.0 < cost.seconds[PREPARE] < 20
    assert len(held) <= cost.memory_bytes <= peak_memory()
    assert [row["stage"] for row in read_rows(tmp_path / CLOCK)] == [PREPARE, DONE]
