"""NYT JSON Lines, and the variant with a list of triples."""

import json
from typing import TYPE_CHECKING

import pytest

from relik.errors import InputError
from relik_training.formats.nyt import first_match

if TYPE_CHECKING:
    from tests.relik_training.formats.conftest import Read, Write

NOTE = "documents whose spans are first string matches"


def test_spans_are_first_matches_and_the_report_says_so(read: "Read") -> None:
    row = {
        "sentText": "Parisians love Paris and Paris loves Ann .",
        "articleId": "a1",
        "sentId": "2",
        "entityMentions": [
            {"start": 0, "text": "Paris", "label": "LOCATION"},
            {"start": 1, "text": "Ann", "label": "PERSON"},
        ],
        "relationMentions": [
            {"em1Text": "Ann", "em2Text": "Paris", "label": "/people/person/lived"},
            {"em1Text": "Paris", "em2Text": "Ann", "label": "None"},
        ],
    }
    done = read("nyt", json.dumps(row) + "\n")
    assert done.rows == [
        {
            "doc_id": "a1:2",
            "text": row["sentText"],
            "spans": [
                [15, 20, None, "Paris", {"type": "LOCATION"}],
                [37, 40, None, "Ann", {"type": "PERSON"}],
            ],
            "triples": [[1, "/people/person/lived", 0]],
        }
    ]
    assert done.report["notes"] == {
        NOTE: 1,
        "pairs labelled as without a relation, left out": 1,
    }


def test_a_list_of_triples_is_read_too(read: "Read") -> None:
    rows = [
        {"text": "Ann is in Rome", "triple_list": [["Ann", "in", "Rome"], ["Ann", "in", "Oslo"]]}
    ]
    done = read("nyt", json.dumps(rows))
    assert done.rows[0]["spans"] == [[0, 3, None, "Ann"], [10, 14, None, "Rome"]]
    assert done.report["dropped"] == {
        "text of a span is not in the sentence": 1,
        "triple without one of its spans": 1,
    }


@pytest.mark.parametrize(
    ("text", "surface", "start"),
    [("USA US", "US", 4), ("USA", "US", 0), ("x", "", -1), ("x", "y", -1)],
)
def test_a_whole_word_is_matched_before_a_part(text: str, surface: str, start: int) -> None:
    assert first_match(text, surface) == start


def test_spans_of_one_text_are_written_once(write: "Write") -> None:
    row = {
        "doc_id": "d",
        "text": "Ann and Ann met Bob",
        "spans": [
            [0, 3, None, "Ann"],
            [8, 11, None, "Ann"],
            [16, 19, None, "Bob", {"type": "PER"}],
        ],
        "triples": [[1, "met", 2]],
    }
    text, report = write("nyt", row)
    made = json.loads(text)
    assert made["entityMentions"] == [
        {"start": 0, "text": "Ann", "label": "Entity"},
        {"start": 1, "text": "Bob", "label": "PER"},
    ]
    assert made["relationMentions"] == [{"em1Text": "Ann", "em2Text": "Bob", "label": "met"}]
    assert report["notes"] == {"spans that share their text with another, written once": 1}


def test_a_line_of_another_shape_is_refused(read: "Read") -> None:
    with pytest.raises(InputError, match=r"source, line 1: .*sentText"):
        read("nyt", '{"text": "x", "spans": []}\n')
