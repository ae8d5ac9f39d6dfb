"""Measure the throughput of `relik annotate --json` on a data file, including its start."""

import argparse
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Write the texts to a file, annotate it, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="JSON Lines with `text`, plain or gzip")
    parser.add_argument("--bundle", default="default")
    parser.add_argument("--tasks", default="entities,relations")
    arguments = parser.parse_args()
    opened = gzip.open if arguments.file.suffix == ".gz" else open
    with opened(arguments.file, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        start_time = time.perf_counter()
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("relik")),
                "annotate",
                "--json",
                "--file",
                str(path),
                "--bundle",
                arguments.bundle,
                "--tasks",
                arguments.tasks,
            ],
            stdout=subprocess.PIPE,
            check=True,
        )
        seconds = time.perf_counter() - start_time
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    words = sum(len(text.split()) for text in texts)
    print(
        json.dumps(
            {
                "documents": len(answers),
                "words": words,
                "windows": sum(answer["coverage"]["windows"] for answer in answers),
                "spans": sum(len(answer["spans"]) for answer in answers),
                "triples": sum(len(answer["triples"]) for answer in answers),
                "seconds": round(seconds, 1),
                "documents_per_s": round(len(answers) / seconds, 2),
                "words_per_s": round(words / seconds),
                "peak_mb": round(
                    resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
                ),
            }
        )
    )


if __name__ == "__main__":
    main()
