"""Measure the bundle that ships on a few small sets, and compare with the figures on file.

Usage: scripts/golden-figures DATA [NAME ...] [--compare]

DATA is a folder of gold documents and knowledge bases in the shape of `relik evaluate`. Figures are
printed as JSON; `scripts/golden-figures DATA > tests/golden/figures.json` writes them down. With
--compare, what differs from those is printed instead, and the exit code is 1 where anything does.
NAME is a set, such as el-aida-testa; all are measured without it.
"""

import argparse
import gzip
import json
import re
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from relik.cli import main as relik

ON_FILE = Path(__file__).parents[1] / "tests" / "golden" / "figures.json"
COMMAND = "OMP_NUM_THREADS=1 scripts/golden-figures DATA"
READINGS = ("inkb", "with_nil", "triples", "marked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A set, and how it is measured.

    Args:
        name: Of the file of gold documents, without .jsonl.gz.
        task: Command of `relik evaluate`.
        options: Options of that command.
        kb: File of records, without .jsonl.gz, from which an index is built; None for the bundle's.
        build: Options of `relik index build`.
    """

    name: str
    task: str = "entities"
    options: tuple[str, ...] = ()
    kb: str | None = None
    build: tuple[str, ...] = ()


SETS = (
    Measured(name="el-aida-testa", options=("--limit", "60")),
    Measured(name="el-enwik8kb-dev", options=("--limit", "150", "--given-mentions")),
    Measured(name="re-enwik8-distant-dev", task="triples", options=("--entity-ids",)),
    Measured(name="el-istex-train", options=("--limit", "100")),
    Measured(name="el-hipe2022-hipe2020-dev"),
    Measured(
        name="el-ncbi-disease-dev",
        options=("--limit", "50"),
        kb="kb-medic",
        build=("--any-case",),
    ),
    Measured(name="el-lgl", options=("--limit", "60"), kb="kb-geonames"),
)


def main() -> int:
    """Print the figures, or what differs from those on file."""
    parser = argparse.ArgumentParser(prog="scripts/golden-figures", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help="sets to measure; all by default")
    parser.add_argument("--compare", action="store_true", help="print what differs from the file")
    given = parser.parse_args()
    known = [one.name for one in SETS]
    if unknown := sorted({*given.names} - {*known}):
        parser.error(f"got the set {unknown[0]}, expected some of {', '.join(known)}")
    figures = {}
    for one in SETS:
        if not given.names or one.name in given.names:
            print(f"measuring {one.name}", file=sys.stderr, flush=True)
            figures[one.name] = measure(one, given.data)
    if not given.compare:
        print(as_json(figures))
        return 0
    before = json.loads(ON_FILE.read_text("utf-8"))["figures"]
    found = changes(before, figures)
    print(*found or [f"no figure of {len(figures)} sets differs"], sep="\n")
    return 1 if found else 0


def measure(one: Measured, data: Path) -> dict[str, Any]:
    """Measure the bundle on a set.

    Args:
        one: The set.
        data: Folder of the data.

    Returns:
        The commands, the number of documents, and figures by reading.
    """
    evaluate = ["evaluate", one.task, f"{one.name}.jsonl.gz", *one.options]
    told: dict[str, Any] = {}
    with TemporaryDirectory() as scratch:
        used = [*evaluate, "--backend", "onnx", "--json"]
        used[2] = str(data / used[2])
        if one.kb is not None:
            index = Path(scratch) / "index"
            records = prepared(data / f"{one.kb}.jsonl.gz", Path(scratch))
            build = ["index", "build", str(records), str(index), *one.build, "--backend", "onnx"]
            run([*build, "--json"])
            used += ["--kb", str(index)]
            evaluate += ["--kb", one.kb]
            told["index"] = " ".join(["relik index build", one.kb, *one.build])
        found = json.loads(run(used))
    told["command"] = " ".join(["relik", *evaluate])
    told["documents"] = found["documents"]
    for reading in READINGS:
        if reading in found:
            # Intervals follow from the rest.
            told[reading] = {key: found[reading][key] for key in ("precision", "recall", "f1")}
            told[reading] |= found[reading]["counts"]
    return told


def prepared(records: Path, scratch: Path) -> Path:
    """Return the file to build an index from: MEDIC lacks the prefixes that texts have."""
    if records.name != "kb-medic.jsonl.gz":
        return records
    lines = gzip.decompress(records.read_bytes()).decode("utf-8")
    lines = re.sub(r'(?m)^\{"id": "(?=[CD])', '{"id": "MESH:', lines)
    lines = re.sub(r'(?m)^\{"id": "(?=[0-9])', '{"id": "OMIM:', lines)
    out = scratch / "medic.jsonl"
    out.write_text(lines, encoding="utf-8")
    return out


def run(command: list[str]) -> str:
    """Run a command of `relik` and return what it printed.

    Args:
        command: Its arguments.

    Returns:
        Its standard output.

    Raises:
        SystemExit: It failed.
    """
    printed = StringIO()
    try:
        with redirect_stdout(printed):
            relik(command)
    except SystemExit as done:
        if done.code:
            raise
    return printed.getvalue()


def as_json(figures: dict[str, dict[str, Any]]) -> str:
    """Write figures as JSON, a set a line."""
    rows = [f"{json.dumps(name)}: {json.dumps(told)}" for name, told in figures.items()]
    head = f'"command": {json.dumps(COMMAND)},\n"figures": {{\n'
    return "{" + head + ",\n".join(rows) + "\n}}"


def changes(before: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> list[str]:
    """Tell what differs.

    Args:
        before: Figures by set and reading.
        now: The same of the sets that were measured.

    Returns:
        A line for each figure that differs.
    """
    found = []
    for name, told in now.items():
        old, new = _flat(before.get(name, {})), _flat(told)
        for key in [*old, *(key for key in new if key not in old)]:
            if old.get(key) != new.get(key):
                found.append(f"{name} {key}: {old.get(key)} -> {new.get(key)}")
    return found


def _flat(told: dict[str, Any]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in told.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        flat.update({f"{key} {part}".strip(): one for part, one in parts})
    return flat


if __name__ == "__main__":
    sys.exit(main())
