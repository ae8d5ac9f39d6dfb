import gzip
import json
from pathlib import Path

import pytest

from relik.errors import InputError
from relik.evaluation import read_gold
from relik.types import Span

RECORD = {
    "doc_id": "d1",
    "text": "Zoë met Ada 🙂 Bo.",
    "spans": [[0, 3, "Q1", "Zoë"], [8, 11, None, "Ada", {"type": "per"}], [14, 16, "Q3", "Bo"]],
    "triples": [[0, "P1", 2]],
}


def write(path: Path, *records: object) -> Path:
    text = "\n".join(json.dumps(record) for record in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["gold.jsonl", "gold.jsonl.gz"])
def test_gold_is_read_plain_or_compressed(tmp_path: Path, name: str) -> None:
    (gold,) = read_gold(write(tmp_path / name, RECORD))
    assert gold.document.doc_id == "d1"
    assert [mention.span for mention in gold.mentions] == [Span(0, 3), Span(8, 11), Span(14, 16)]
    assert [mention.entity_id for mention in gold.mentions] == ["Q1", None, "Q3"]
    assert gold.triples[0].object == gold.mentions[2]


def test_limit_bounds_the_documents(tmp_path: Path) -> None:
    path = write(tmp_path / "gold.jsonl", RECORD, RECORD, RECORD)
    assert len(read_gold(path, limit=2)) == 2
    assert len(read_gold(path)) == 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"text": 3}, "text is a int"),
        ({"spans": [[0, 3, "Q1", "Ada"]]}, "not 'Ada'"),
        ({"spans": [[3, 3, "Q1", ""]]}, "start < end"),
        ({"spans": [[0, 3, 1, "Zoë"]]}, "neither a string nor null"),
        ({"spans": [[0, 3]]}, "not enough values"),
        ({"spans": "no"}, "list of lists"),
        ({"triples": [[0, "P1", 9]]}, "points at span 9 of 3"),
    ],
)
def test_a_malformed_document_is_refused_by_line(
    tmp_path: Path, change: dict[str, object], says: str
) -> None:
    path = write(tmp_path / "gold.jsonl", RECORD, {**RECORD, **change})
    with pytest.raises(InputError, match=f"gold.jsonl, line 2: .*{says}"):
        read_gold(path)


def test_a_file_that_is_not_json_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{}\nno")
    (tmp_path / "b.jsonl.gz").write_bytes(b"not gzip")
    (tmp_path / "c.jsonl").write_text("[1]")
    (tmp_path / "d.jsonl").write_bytes(b'{"text": "\xff"}')
    with pytest.raises(InputError, match="line 1"):
        read_gold(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="expected a JSON object"):
        read_gold(tmp_path / "c.jsonl")
    for name in ("b.jsonl.gz", "d.jsonl", "missing.jsonl"):
        with pytest.raises(InputError, match="cannot be read"):
            read_gold(tmp_path / name)
