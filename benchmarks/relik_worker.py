"""Measures one `relik`, upstream's or ours: `PYTHON benchmarks/relik_worker.py JOB.json OUT.json`.

Both have the same class with the same arguments, so that one program drives both, each in a process
of its own. The folder of the pipeline is the working directory, since upstream takes names in its
settings from there. Imports nothing but the standard library and `relik`.
"""

import json
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any


def main() -> None:
    """Do the job."""
    job = json.loads(Path(sys.argv[1]).read_text())
    # Upstream warns of worker processes on every call.
    warnings.simplefilter("ignore")
    begun = time.perf_counter()
    import relik

    result: dict[str, Any] = {"import_s": time.perf_counter() - begun}
    logging.disable(logging.WARNING)
    if job["calls"]:
        begun = time.perf_counter()
        opened = relik.Relik.from_pretrained(job["pipeline"], **job["open"])
        result["open_s"] = time.perf_counter() - begun
        result["opened_mb"] = _memory("VmRSS")
        result |= _run(opened, job)
    result["peak_mb"] = _memory("VmHWM")
    Path(sys.argv[2]).write_text(json.dumps(result))


def _run(opened: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Make the calls of the job several times; the seconds of each round, and the answers."""
    seconds = []
    for _ in range(job["rounds"]):
        begun = time.perf_counter()
        answers = [opened(call, **job["options"]) for call in job["calls"]]
        seconds.append(time.perf_counter() - begun)
    flat = [one for each in answers for one in (each if isinstance(each, list) else [each])]
    profile = _profile(opened, job) if job.get("profile") else None
    return {"seconds": seconds, "answers": [_plain(one) for one in flat], "profile": profile}


def _profile(opened: Any, job: dict[str, Any]) -> str:
    import cProfile
    import io
    import pstats

    profiler = cProfile.Profile()
    profiler.enable()
    for call in job["calls"]:
        opened(call, **job["options"])
    profiler.disable()
    stream = io.StringIO()
    pstats.Stats(profiler, stream=stream).sort_stats("tottime").print_stats(25)
    return stream.getvalue()


def _plain(output: Any) -> dict[str, Any]:
    def span(one: Any) -> list[Any]:
        return [one.start, one.end, one.label]

    return {
        "spans": [span(one) for one in output.spans],
        "triplets": [
            [span(one.subject), one.label, span(one.object), round(float(one.confidence), 4)]
            for one in output.triplets
        ],
    }


def _memory(name: str) -> float:
    """Return a figure of this process in MB of a million bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"{name}:"))
    return round(int(line.split()[1]) * 1024 / 1e6, 1)


if __name__ == "__main__":
    main()
