"""BLINK and KILT."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from relik.errors import InputError

if TYPE_CHECKING:
    from tests.relik_training.formats.conftest import Read, Write


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def blink(left: str, mention: str, right: str, **more: Any) -> dict[str, Any]:
    return {"context_left": left, "mention": mention, "context_right": right, **more}


def test_lines_of_the_same_text_are_one_document(read: "Read") -> None:
    paris = {"label_id": "7", "Wikipedia_ID": "7", "Wikipedia_title": "Paris"}
    rome = {"label_id": 12, "label_title": "Rome", "label": "Rome is the capital of Italy."}
    done = read(
        "blink",
        lines(
            blink("From", "Paris", "to Rome , on foot .", query_id="d:0", **paris),
            blink("From Paris to", "Rome", ", on foot .", query_id="d:1", **rome),
            blink("", "Oslo", "", label_id=-1, label="unknown"),
        ),
    )
    assert done.rows[0]["doc_id"] == "d:0"
    assert done.rows[0]["text"] == "From Paris to Rome , on foot ."
    assert [span[:4] for span in done.rows[0]["spans"]] == [
        [5, 10, "Paris", "Paris"],
        [14, 18, "Rome", "Rome"],
    ]
    assert done.rows[1]["spans"] == [[0, 4, None, "Oslo"]]


@pytest.mark.parametrize(
    ("left", "mention", "right", "text"),
    [
        ("", "Shakespeare", "'s account", "Shakespeare's account"),
        ("General", "Caesar", "died", "General Caesar died"),
        ("In (", "Rome", ")", "In (Rome)"),
        ("A, B -", "Rome", "! it", "A, B -Rome! it"),
        ("A , B -", "Rome", "! it", "A , B - Rome ! it"),
    ],
)
def test_contexts_that_were_stripped_get_their_space_back(
    read: "Read", left: str, mention: str, right: str, text: str
) -> None:
    assert read("blink", lines(blink(left, mention, right, label_id=1))).rows[0]["text"] == text


def test_a_label_that_is_all_there_is_is_the_title(read: "Read") -> None:
    done = read("blink", lines(blink("", "Rome", "", label_id=3, label="Rome")))
    assert done.rows[0]["spans"][0][2] == "Rome"


def test_kilt_marks_the_mention(read: "Read") -> None:
    output = [{"provenance": []}, {"answer": "Japan national football team"}]
    row = {
        "id": "9 SOCCER:0",
        "input": "SOCCER - [START_ENT] JAPAN [END_ENT] WIN",
        "output": output,
    }
    done = read("kilt", lines(row))
    assert done.rows[0]["doc_id"] == "9 SOCCER:0"
    assert done.rows[0]["text"] == "SOCCER - JAPAN WIN"
    title = "Japan national football team"
    assert done.rows[0]["spans"] == [[9, 14, title, "JAPAN", {"title": title}]]
    assert read("blink", lines(row)).rows == done.rows


def test_a_mention_a_line_is_written(write: "Write") -> None:
    row = {
        "doc_id": "d",
        "text": "\U0001f600 Ann,Bob",
        "spans": [[2, 5, "Q1", "Ann", {"title": "Ann"}], [6, 9, None, "Bob"]],
    }
    made = [json.loads(line) for line in write("blink", row)[0].splitlines()]
    assert [(each["context_left"], each["context_right"]) for each in made] == [
        ("\U0001f600 ", ",Bob"),
        ("\U0001f600 Ann,", ""),
    ]
    assert [each["label_id"] for each in made] == ["Q1", -1]
    first = json.loads(write("kilt", row)[0].splitlines()[0])
    assert first["input"] == "\U0001f600 [START_ENT] Ann [END_ENT],Bob"
    assert first["output"][0]["answer"] == "Ann"
    assert first["meta"]["mention"] == "Ann"


def test_documents_that_it_cannot_hold_are_counted(write: "Write") -> None:
    row = {"doc_id": "d", "text": "A [END_ENT] B", "spans": [[0, 1, None, "A"]]}
    empty = {"doc_id": "e", "text": "A", "spans": []}
    good = {"doc_id": "f", "text": "A", "spans": [[0, 1, None, "A"]]}
    assert write("blink", row, empty)[1]["dropped"] == {"document without spans": 1}
    assert write("kilt", row, good)[1]["documents"] == 1
    with pytest.raises(InputError, match=r"none of 2 documents .* kilt"):
        write("kilt", row, empty)


@pytest.mark.parametrize(
    "row", [{"text": "x"}, {"input": "no mark", "output": []}, blink("", "", "")]
)
def test_lines_without_a_mention_are_refused(read: "Read", row: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"source, line 2: .* expected BLINK"):
        read("blink", lines(blink("a", "b", "c", label_id="x"), row))
