"""Measure one `relik`, upstream's or ours: `PYTHON benchmarks/relik_worker.py JOB.json OUT.json`.

Both have the same class with the same arguments, so that one program measures both, each in its own
process. The working directory is the folder of the pipeline, because upstream resolves paths of its
settings there. Only the standard library and `relik` are imported.
"""

import json
import logging
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the calls of the job and write the result."""
    job = json.loads(Path(sys.argv[1]).read_text())
    # Upstream warns about worker processes in every call.
    warnings.simplefilter("ignore")
    start_time = time.perf_counter()
    import relik

    result: dict[str, Any] = {"import_s": time.perf_counter() - start_time}
    logging.disable(logging.WARNING)
    if job["calls"]:
        start_time = time.perf_counter()
        opened = relik.Relik.from_pretrained(job["pipeline"], **job["open"])
        result["open_s"] = time.perf_counter() - start_time
        result["opened_mb"] = _memory("VmRSS")
        result |= _run(opened, job)
    result["peak_mb"] = _memory("VmHWM")
    Path(sys.argv[2]).write_text(json.dumps(result))


def _run(opened: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Repeat the calls of the job; return the seconds of each round, and the answers."""
    seconds = []
    for _ in range(job["rounds"]):
        start_time = time.perf_counter()
        answers = [opened(call, **job["options"]) for call in job["calls"]]
        seconds.append(time.perf_counter() - start_time)
    flat = [one for each in answers for one in (each if isinstance(each, list) else [each])]
    result: dict[str, Any] = {"seconds": seconds, "answers": [_plain(one) for one in flat]}
    if job["stages"]:
        result |= _stages(opened, job)
    return result


def _stages(opened: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Repeat the calls once, and time each graph and the rest.

    Graphs run in parallel, so that their seconds are divided by the number of threads.
    """
    from relik.backends.onnx_rows import RowModel

    rows: list[tuple[int, int]] = []
    seconds: dict[str, float] = {}
    lock, run = threading.Lock(), RowModel.run

    def timed(self: Any, name: str, feed: Any) -> Any:
        start_time = time.perf_counter()
        outputs = run(self, name, feed)
        duration = time.perf_counter() - start_time
        with lock:
            seconds[name] = seconds.get(name, 0.0) + duration / self.threads
            if "inputs_embeds" in feed:
                count = len(feed["inputs_embeds"])
                rows.append((count, len(feed["kept"]) if "kept" in feed else count))
        return outputs

    RowModel.run = timed  # type: ignore[method-assign]
    start_time = time.perf_counter()
    for call in job["calls"]:
        opened(call, **job["options"])
    total = time.perf_counter() - start_time
    seconds["beside"] = max(0.0, total - sum(seconds.values()))
    return {"rows": rows, "stages": {name: round(value, 3) for name, value in seconds.items()}}


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
    """Return a memory figure of this process in MB (10^6 bytes)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"{name}:"))
    return round(int(line.split()[1]) * 1024 / 1e6, 1)


if __name__ == "__main__":
    main()
