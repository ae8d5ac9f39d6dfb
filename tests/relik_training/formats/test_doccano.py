"""Doccano JSON Lines."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from relik.errors import InputError

if TYPE_CHECKING:
    from tests.relik_training.formats.conftest import Read, Write

TEXT = "\U0001f468\U0001f3fb\u200d\U0001f692 Ann met Bob"
ENTITIES: list[dict[str, Any]] = [
    {"id": 71, "label": "PER", "start_offset": 5, "end_offset": 8},
    {"id": 72, "label": "PER", "start_offset": 13, "end_offset": 16},
]


def test_offsets_are_code_points(read: "Read") -> None:
    row = {
        "id": 3,
        "text": TEXT,
        "entities": ENTITIES,
        "relations": [{"id": 1, "from_id": 72, "to_id": 71, "type": "knows"}],
        "Comments": [],
    }
    assert read("doccano", json.dumps(row)).rows == [
        {
            "doc_id": "3",
            "text": TEXT,
            "spans": [[5, 8, None, "Ann", {"type": "PER"}], [13, 16, None, "Bob", {"type": "PER"}]],
            "triples": [[1, "knows", 0]],
        }
    ]


@pytest.mark.parametrize("key", ["label", "labels"])
def test_plain_labels_are_read(read: "Read", key: str) -> None:
    done = read("doccano", json.dumps({"text": "Ann x", key: [[0, 3, "PER"], [2, 9, "LOC"]]}))
    assert done.rows[0]["spans"] == [[0, 3, None, "Ann", {"type": "PER"}]]
    assert done.report["dropped"] == {"span outside the text": 1}
    assert done.report["examples"] == [
        {"doc_id": "0", "span": [2, 9], "reason": "span outside the text"}
    ]


def test_ids_stay_with_spans_that_nobody_moved(read: "Read", write: "Write") -> None:
    spans = [[5, 8, "Q1", "Ann", {"type": "PER"}], [13, 16, "Q2", "Bob", {"type": "PER"}]]
    row = json.loads(write("doccano", {"doc_id": "d", "text": TEXT, "spans": spans})[0])
    row["id"] = 9
    row["entities"][1]["end_offset"] = 15
    back = read("doccano", json.dumps(row)).rows[0]
    assert back["doc_id"] == "d"
    assert [span[:4] for span in back["spans"]] == [[5, 8, "Q1", "Ann"], [13, 15, None, "Bo"]]


def test_a_line_without_labels_is_refused(read: "Read") -> None:
    with pytest.raises(InputError, match=r"line 1: .*KeyError"):
        read("doccano", '{"text": "x"}')
