"""Seconds, steps and memory of a run and its process, kept through kills. Needs no torch."""

import ctypes
import json
import os
import resource
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLOCK = "clock.jsonl"
PREPARE, TRAIN, BUNDLE, DONE = "prepare", "train", "bundle", "done"
STAGES = (PREPARE, TRAIN, BUNDLE)

# Seconds are compared within one process alone: another one's clock may begin elsewhere.
_PROCESS = uuid.uuid4().hex[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a run has cost, over all its processes.

    Args:
        seconds: Seconds of each stage that was begun.
        steps: Steps taken; a step that a kill undid and a resume repeated counts each time.
        samples: Examples of these steps.
        tokens: Tokens of these steps, padding included.
        memory_bytes: Most resident memory of one process.
        gpu_memory_bytes: Most memory of the accelerator; 0 without one.
    """

    seconds: Mapping[str, float]
    steps: int = 0
    samples: int = 0
    tokens: int = 0
    memory_bytes: int = 0
    gpu_memory_bytes: int = 0


def peak_memory() -> int:
    """Give the most resident bytes that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kilobytes, macOS bytes.
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int:
    """Give the resident bytes of this process now; the peak where the system has no /proc."""
    path = Path("/proc/self/statm")
    if not path.is_file():
        return peak_memory()
    return int(path.read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def give_back() -> bool:
    """Give free memory of the heap back; False where nothing was, as without the GNU C library."""
    if not sys.platform.startswith("linux"):
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return bool(trim(0)) if trim is not None else False


def tick(out: Path, stage: str, done: Mapping[str, int] | None = None) -> None:
    """Note that a stage begins, or how far it has come.

    Args:
        out: Folder of the run.
        stage: The stage that the time from now on counts for; `DONE` for none.
        done: What this process has done so far in the stage: `steps`, `samples`, `tokens`, and
            `gpu_memory_bytes`.
    """
    now = {"at": round(time.monotonic(), 3), "memory_bytes": peak_memory()}
    append_row(out / CLOCK, {"process": _PROCESS, "stage": stage, **now, **(done or {})})


def spent(out: Path) -> Spent | None:
    """Add up what a run has cost; None where the run kept no clock."""
    rows = read_rows(out / CLOCK)
    if not rows:
        return None
    seconds: dict[str, float] = {}
    counts = dict.fromkeys(("steps", "samples", "tokens"), 0)
    before: dict[str, dict[str, Any]] = {}
    for row in rows:
        last = before.get(row["process"])
        if last is not None and last["stage"] in STAGES:
            passed = max(0.0, row["at"] - last["at"])
            seconds[last["stage"]] = seconds.get(last["stage"], 0.0) + passed
        for name in counts:
            now, earlier = row.get(name, 0), (last or {}).get(name, 0)
            # Counts begin anew where a process trains anew.
            counts[name] += now - earlier if now >= earlier else now
        before[row["process"]] = row
    return Spent(
        seconds={stage: round(seconds[stage], 1) for stage in STAGES if stage in seconds},
        memory_bytes=max(row["memory_bytes"] for row in rows),
        gpu_memory_bytes=max(row.get("gpu_memory_bytes", 0) for row in rows),
        **counts,
    )


def append_row(path: Path, row: Mapping[str, object]) -> None:
    """Add an object to a file of JSON Lines in one write."""
    with path.open("a+b") as out:
        # A line that a kill cut short is ended first, so that it spoils no other.
        torn = out.seek(0, os.SEEK_END) and out.seek(-1, os.SEEK_END) >= 0 and out.read(1) != b"\n"
        out.write(b"\n" * bool(torn) + json.dumps(row).encode() + b"\n")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read the whole objects of a file of JSON Lines, in order; none where there is no file."""
    rows = []
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
