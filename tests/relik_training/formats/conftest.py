"""Converts small files and gives what came out."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from relik_training.formats.conversion_report import Report
from relik_training.formats.convert import Conversion, convert


@dataclass(frozen=True)
class Converted:
    """The lines that came out, and the report."""

    rows: list[dict[str, Any]]
    report: dict[str, Any]


Read = Callable[..., Converted]
Write = Callable[..., tuple[str, dict[str, Any]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Convert a file of another format to our shape."""

    def run(source_format: str, content: str | bytes, entities: str | None = None) -> Converted:
        source, target = tmp_path / "source", tmp_path / "target.jsonl"
        source.write_bytes(content.encode() if isinstance(content, str) else content)
        titles = None
        if entities is not None:
            titles = tmp_path / "titles.jsonl"
            titles.write_text(entities, encoding="utf-8")
        report = Report()
        convert(
            Conversion(
                source=source,
                target=target,
                source_format=source_format,
                target_format="relik",
                entities=titles,
            ),
            report,
        )
        rows = [json.loads(line) for line in target.read_bytes().splitlines()]
        assert all(row["text"][s[0] : s[1]] == s[3] for row in rows for s in row["spans"])
        return Converted(rows=rows, report=report.as_dict())

    return run


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Convert documents of our shape to another format."""

    def run(target_format: str, *rows: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        source, target = tmp_path / "ours.jsonl.gz", tmp_path / "theirs.gz"
        source.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
        report = Report()
        convert(
            Conversion(
                source=source,
                target=target,
                source_format="relik",
                target_format=target_format,
            ),
            report,
        )
        return gzip.decompress(target.read_bytes()).decode(), report.as_dict()

    return run
