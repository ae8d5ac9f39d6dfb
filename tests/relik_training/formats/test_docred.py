"""DocRED and Re-DocRED JSON."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from relik.errors import InputError

if TYPE_CHECKING:
    from tests.relik_training.formats.conftest import Read, Write


def vertex(sentence: int, start: int, end: int, kind: str) -> dict[str, Any]:
    return {"sent_id": sentence, "pos": [start, end], "type": kind, "name": "unused"}


ROW: dict[str, Any] = {
    "title": "Skai TV",
    "sents": [["Skai", "TV", "airs", "."], ["It", "is", "in", "Piraeus", "."]],
    "vertexSet": [
        [vertex(0, 0, 2, "ORG"), vertex(1, 0, 1, "ORG")],
        [vertex(1, 3, 4, "LOC")],
    ],
    "labels": [{"h": 0, "t": 1, "r": "P159", "evidence": [0]}],
}


def test_a_triple_lies_between_the_closest_mentions(read: "Read") -> None:
    row = read("docred", json.dumps([ROW])).rows[0]
    assert row["text"] == "Skai TV airs .\nIt is in Piraeus ."
    assert row["spans"] == [
        [0, 7, None, "Skai TV", {"type": "ORG", "cluster": 0}],
        [15, 17, None, "It", {"type": "ORG", "cluster": 0}],
        [24, 31, None, "Piraeus", {"type": "LOC", "cluster": 1}],
    ]
    assert row["clusters"] == [[0, 1], [2]]
    assert row["triples"] == [[1, "P159", 2]]
    assert (row["doc_id"], row["title"]) == ("Skai TV", "Skai TV")


def test_a_test_set_has_no_labels(read: "Read") -> None:
    plain = {name: value for name, value in ROW.items() if name != "labels"}
    assert read("docred", json.dumps([plain])).rows[0]["triples"] == []


def test_a_mention_outside_its_sentence_is_dropped(read: "Read") -> None:
    wrong = {**ROW, "vertexSet": [[vertex(0, 3, 9, "ORG")], [vertex(1, 3, 4, "LOC")]]}
    done = read("docred", json.dumps([wrong]))
    assert done.report["dropped"] == {
        "span outside the tokens": 1,
        "triple without one of its spans": 1,
    }


@pytest.mark.parametrize("head", [-1, 2, "0"])
def test_a_label_of_nothing_is_refused(read: "Read", head: object) -> None:
    wrong = {**ROW, "labels": [{"h": head, "t": 1, "r": "P159"}]}
    with pytest.raises(InputError, match=r"document 1: got another shape \(KeyError"):
        read("docred", json.dumps([wrong]))


def test_mentions_without_a_cluster_are_their_own(write: "Write") -> None:
    row = {
        "doc_id": "d",
        "text": "Ann saw\nBob. She ran",
        "spans": [
            [0, 3, None, "Ann"],
            [8, 11, None, "Bob", {"type": "PER"}],
            [13, 16, None, "She"],
        ],
        "triples": [[2, "saw", 1], [0, "saw", 1]],
        "clusters": [[0, 2], [2]],
    }
    made = json.loads(write("docred", row)[0])[0]
    assert made["title"] == "d"
    assert made["sents"] == [["Ann", "saw"], ["Bob", ".", "She", "ran"]]
    assert [[each["name"] for each in group] for group in made["vertexSet"]] == [
        ["Ann", "She"],
        ["Bob"],
    ]
    assert made["vertexSet"][0][1] == {"name": "She", "sent_id": 1, "pos": [2, 3], "type": "MISC"}
    assert made["labels"] == [{"h": 0, "r": "saw", "t": 1, "evidence": []}]
