"""SpERT JSON."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from relik.errors import InputError

if TYPE_CHECKING:
    from tests.relik_training.formats.conftest import Read, Write

TOKENS = ["John", "Wilkes", "Booth", "killed", "Lincoln", "."]
ENTITIES = [
    {"type": "Peop", "start": 0, "end": 3},
    {"type": "Peop", "start": 4, "end": 5},
]


def document(**more: Any) -> str:
    relations = [{"type": "Kill", "head": 0, "tail": 1}]
    return json.dumps([{"tokens": TOKENS, "entities": ENTITIES, "relations": relations, **more}])


def test_tokens_are_joined_by_spaces(read: "Read") -> None:
    done = read("spert", document(orig_id=5178))
    assert done.rows == [
        {
            "doc_id": "5178",
            "text": "John Wilkes Booth killed Lincoln .",
            "spans": [
                [0, 17, None, "John Wilkes Booth", {"type": "Peop"}],
                [25, 32, None, "Lincoln", {"type": "Peop"}],
            ],
            "triples": [[0, "Kill", 1]],
        }
    ]
    assert done.report["triples"] == 1


def test_spans_outside_the_tokens_are_dropped_with_their_triples(read: "Read") -> None:
    wrong = [{"type": "Peop", "start": 0, "end": 7}, ENTITIES[1]]
    done = read("spert", document(entities=wrong))
    assert done.report["dropped"] == {
        "span outside the tokens": 1,
        "triple without one of its spans": 1,
    }
    assert done.rows[0]["spans"] == [[25, 32, None, "Lincoln", {"type": "Peop"}]]


def test_a_text_that_its_tokens_do_not_make_is_not_believed(read: "Read") -> None:
    kept = read("spert", document(_text="John Wilkes\nBooth killed Lincoln.")).rows[0]
    assert kept["text"] == "John Wilkes\nBooth killed Lincoln."
    for text in ("John Wilkes Booth killed Grant.", "John Wilkes Booth killed Lincoln. Then"):
        assert read("spert", document(_text=text)).rows[0]["text"] == " ".join(TOKENS)


def test_a_text_is_cut_at_mentions_and_punctuation(write: "Write") -> None:
    row = {
        "doc_id": "d",
        "text": '"US-based..." (e\u0301t\u00e9) 3.5% in D.C.\u202f?!',
        "spans": [[1, 3, "Q30", "US"], [14, 14 + 5, None, "(e\u0301t\u00e9"]],
    }
    made = json.loads(write("spert", row)[0])[0]
    pieces = ['"', "US", "-", "based", "...", '"', "(", "e\u0301t\u00e9", ")", "3.5", "%", "in"]
    assert made["tokens"] == [*pieces, "D.C", ".", "?", "!"]
    assert made["entities"] == [
        {"type": "Entity", "start": 1, "end": 2},
        {"type": "Entity", "start": 6, "end": 8},
    ]


def test_a_text_that_was_cut_already_is_cut_at_spaces(write: "Write") -> None:
    row = {"doc_id": "d", "text": "In the U.S. , 3 % ate.", "spans": []}
    made = json.loads(write("spert", row)[0])[0]
    assert made["tokens"] == ["In", "the", "U.S.", ",", "3", "%", "ate."]


def test_white_space_of_mentions_is_cut_off_and_said(write: "Write", read: "Read") -> None:
    spans = [[0, 4, None, "Ann "], [3, 4, None, " "]]
    text, report = write("spert", {"doc_id": "d", "text": "Ann x", "spans": spans})
    assert report["notes"] == {"spans that lost white space at their edges": 1}
    assert report["dropped"] == {"span of white space": 1}
    assert read("spert", text).rows[0]["spans"] == [[0, 3, None, "Ann", {"type": "Entity"}]]


@pytest.mark.parametrize(
    "content", ['[{"text": "x"}]', '[{"tokens": "x", "entities": [1]}]', "[3]"]
)
def test_other_json_is_refused(read: "Read", content: str) -> None:
    with pytest.raises(InputError, match=r"source, document 1: got"):
        read("spert", content)
