"""SciERC and DyGIE JSON Lines."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from relik.errors import InputError

if TYPE_CHECKING:
    from tests.relik_training.formats.conftest import Read, Write

ROW: dict[str, Any] = {
    "doc_key": "J87-1003",
    "sentences": [["We", "use", "LSTMs", "."], ["They", "parse", "text", "."]],
    "ner": [[[2, 2, "Method"]], [[4, 4, "Generic"], [5, 6, "Task"]]],
    "relations": [[], [[4, 4, 5, 6, "Used-for"]]],
    "clusters": [[[2, 2], [4, 4]]],
}


def test_sentences_become_lines_and_clusters_groups(read: "Read") -> None:
    row = read("scierc", json.dumps(ROW)).rows[0]
    assert row["text"] == "We use LSTMs .\nThey parse text ."
    assert row["spans"] == [
        [7, 12, None, "LSTMs", {"type": "Method", "cluster": 0}],
        [15, 19, None, "They", {"type": "Generic", "cluster": 0}],
        [20, 30, None, "parse text", {"type": "Task"}],
    ]
    assert (row["triples"], row["clusters"]) == ([[1, "Used-for", 2]], [[0, 1]])


def test_what_points_nowhere_is_counted(read: "Read") -> None:
    odd = {
        **ROW,
        "ner": [[[2, 9, "Method"]], [[4, 4, "Generic"]]],
        "relations": [[], [[4, 4, 2, 9, "Used-for"]]],
        "clusters": [[[0, 0], [4, 4]]],
    }
    done = read("scierc", json.dumps(odd))
    assert done.report["dropped"] == {
        "span outside the tokens": 1,
        "triple without one of its spans": 1,
        "span of a cluster that is no entity": 1,
    }
    assert done.rows[0]["clusters"] == [[0]]


def test_lines_that_a_triple_joins_are_one_sentence(write: "Write") -> None:
    row = {
        "doc_id": "d",
        "text": "Ann\nmet Bob\r\nin Rome\n\nthen",
        "spans": [
            [0, 3, None, "Ann"],
            [8, 11, None, "Bob"],
            [16, 20, None, "Rome", {"type": "LOC"}],
        ],
        "triples": [[1, "met", 0]],
    }
    made = json.loads(write("scierc", row)[0])
    assert made["sentences"] == [["Ann", "met", "Bob"], ["in", "Rome"], ["then"]]
    assert made["ner"] == [[[0, 0, "Entity"], [2, 2, "Entity"]], [[4, 4, "LOC"]], []]
    assert made["relations"] == [[[2, 2, 0, 0, "met"]], [], []]
    assert "clusters" not in made


def test_a_line_of_another_shape_is_refused(read: "Read") -> None:
    wrong = {**ROW, "ner": [[2, 2, "Method"]]}
    with pytest.raises(InputError, match=r"source, line 2: got another shape"):
        read("scierc", f"{json.dumps(ROW)}\n{json.dumps(wrong)}\n")
