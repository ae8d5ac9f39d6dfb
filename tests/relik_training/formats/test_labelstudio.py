"""Label Studio exports."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from relik.errors import InputError

if TYPE_CHECKING:
    from tests.relik_training.formats.conftest import Read, Write

TEXT = "\U0001f4a9 Ann met\nBob"


def region(key: str, start: int, end: int, text: str | None, **value: Any) -> dict[str, Any]:
    kind = next(iter(value))
    place = {"start": start, "end": end, **({} if text is None else {"text": text})}
    return {"id": key, "type": kind, "from_name": "x", "to_name": "t", "value": {**place, **value}}


def task(*results: dict[str, Any], **more: Any) -> str:
    return json.dumps(
        [{"id": 4, "data": {"text": TEXT}, "annotations": [{"result": results}], **more}]
    )


RELATION = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}


def test_regions_labels_choices_and_relations_are_joined(read: "Read") -> None:
    done = read(
        "labelstudio",
        task(
            region("a", 2, 5, "Ann", labels=["PER"]),
            region("a", 2, 5, "Ann", choices=["Q1"]),
            region("b", 10, 13, "Bob", labels=["PER"]),
            region("b", 10, 13, "Bob", taxonomy=[["people", "Q2"]]),
            {"id": "c", "type": "choices", "value": {"choices": ["whole text"]}},
            {**RELATION, "labels": ["met"]},
        ),
    )
    assert done.rows == [
        {
            "doc_id": "4",
            "text": TEXT,
            "spans": [[2, 5, "Q1", "Ann", {"type": "PER"}], [10, 13, "Q2", "Bob", {"type": "PER"}]],
            "triples": [[0, "met", 1]],
        }
    ]
    assert done.report["notes"] == {}


def test_offsets_that_count_utf16_units_are_converted(read: "Read") -> None:
    results = (
        region("a", 3, 6, "Ann", labels=["PER"]),
        region("b", 7, 14, "met\\nBob", labels=["PER"]),
    )
    done = read("labelstudio", task(*results))
    assert [span[:2] for span in done.rows[0]["spans"]] == [[2, 5], [6, 13]]
    assert done.report["notes"] == {"documents whose offsets count UTF-16 units, converted": 1}


def test_a_text_that_is_elsewhere_is_dropped(read: "Read") -> None:
    done = read("labelstudio", task(region("a", 2, 5, "Bob", labels=["PER"])))
    assert done.report["dropped"] == {"offsets do not match the surface": 1}


def test_offsets_without_a_text_count_code_points(read: "Read") -> None:
    done = read("labelstudio", task(region("a", 2, 5, None, labels=["PER"])))
    assert done.rows[0]["spans"] == [[2, 5, None, "Ann", {"type": "PER"}]]


def test_regions_of_html_use_the_offsets_in_the_whole_text(read: "Read") -> None:
    result = region("a", 0, 1, "Ann", hypertextlabels=["PER"])
    result["value"] |= {"start": "/div[1]/text()[1]", "end": "/div[1]/text()[1]"}
    result["value"]["globalOffsets"] = {"start": 2, "end": 5}
    assert read("labelstudio", task(result)).rows[0]["spans"][0][:2] == [2, 5]


@pytest.mark.parametrize(
    ("direction", "triples"),
    [("right", [[0, "r", 1]]), ("left", [[1, "r", 0]]), ("bi", [[0, "r", 1], [1, "r", 0]])],
)
def test_arrows_have_a_direction(read: "Read", direction: str, triples: object) -> None:
    results = (
        region("a", 2, 5, "Ann", labels=["PER"]),
        region("b", 10, 13, "Bob", labels=["PER"]),
        {**RELATION, "direction": direction, "labels": ["r"]},
    )
    assert read("labelstudio", task(*results)).rows[0]["triples"] == triples


def test_the_first_annotation_that_was_not_cancelled_counts(read: "Read") -> None:
    results = [region("a", 2, 5, "Ann", labels=["PER"])]
    annotations = [{"was_cancelled": True, "result": []}, {"result": results}, {"result": []}]
    done = read("labelstudio", task(annotations=annotations))
    assert len(done.rows[0]["spans"]) == 1
    assert done.report["notes"] == {
        "tasks with several annotations, of which the first was taken": 1
    }


def test_the_only_text_of_a_task_is_its_text(read: "Read") -> None:
    done = read("labelstudio", task(data={"body": TEXT, "n": 3}))
    assert done.rows[0]["text"] == TEXT
    with pytest.raises(InputError, match=r"document 1: .*KeyError: 'text'"):
        read("labelstudio", task(data={"body": TEXT, "head": "x"}))


def test_offsets_are_written_in_code_points(write: "Write") -> None:
    row = {
        "doc_id": "d",
        "text": TEXT,
        "spans": [[2, 5, "Q1", "Ann"], [10, 13, None, "Bob", {"type": "PER"}]],
        "triples": [[1, "met", 0]],
    }
    made = json.loads(write("labelstudio", row)[0])[0]
    results = made["annotations"][0]["result"]
    assert made["data"] == {"text": TEXT, "doc_id": "d"}
    assert [each["type"] for each in results] == ["labels", "taxonomy", "labels", "relation"]
    assert results[0]["value"] == {"start": 2, "end": 5, "text": "Ann", "labels": ["Entity"]}
    assert results[1]["value"]["taxonomy"] == [["Q1"]]
    assert (results[3]["from_id"], results[3]["to_id"]) == (results[2]["id"], results[0]["id"])
