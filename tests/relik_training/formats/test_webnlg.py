"""WebNLG JSON and XML."""

import json
from typing import TYPE_CHECKING

import pytest

from relik.errors import InputError

if TYPE_CHECKING:
    from tests.relik_training.formats.conftest import Read, Write

JSON = json.dumps(
    {
        "entries": [
            {
                "1": {
                    "category": "Airport",
                    "size": "2",
                    "xml_id": "Id7",
                    "modifiedtripleset": [
                        {
                            "subject": "Malm\u00f6_Airport",
                            "property": "city",
                            "object": "Malm\u00f6",
                        },
                        {"subject": "Malm\u00f6_Airport", "property": "length", "object": "2800.0"},
                    ],
                    "lexicalisations": [
                        {"lex": "Malmo is served by MALM\u00d6 AIRPORT (2800 m).", "xml_id": "Id1"},
                        {"lex": "The airport is 2800 m long.", "xml_id": "Id2", "lang": "en"},
                    ],
                }
            }
        ]
    }
)
XML = """<?xml version="1.0" encoding="UTF-8"?>
<benchmark><entries><entry category="Airport" eid="Id7" size="2">
<originaltripleset><otriple>X | y | Z</otriple></originaltripleset>
<modifiedtripleset><mtriple>Malm\u00f6_Airport | city | Malm\u00f6</mtriple>
<mtriple>Malm\u00f6_Airport | length | 2800.0</mtriple></modifiedtripleset>
<lex comment="good" lid="Id1">Malmo is served by MALM\u00d6 AIRPORT (2800 m).</lex>
<lex comment="good" lid="Id2" lang="en">The airport is 2800 m long.</lex>
</entry></entries></benchmark>
"""


def test_names_are_found_whatever_their_case_and_accents(read: "Read") -> None:
    done = read("webnlg", JSON)
    first, second = done.rows
    assert first["doc_id"] == "Airport:2:Id7:Id1"
    assert [span[:4] for span in first["spans"]] == [
        [19, 32, "Malm\u00f6 Airport", "MALM\u00d6 AIRPORT"],
        [0, 5, "Malm\u00f6", "Malmo"],
        [34, 38, None, "2800"],
    ]
    assert first["triples"] == [[0, "city", 1], [0, "length", 2]]
    assert (second["lang"], second["triples"]) == ("en", [])
    assert done.report["dropped"] == {
        "subject or object is not in the text": 2,
        "triple without one of its spans": 2,
    }


def test_xml_is_read_as_json_is(read: "Read") -> None:
    assert read("webnlg", XML).rows == read("webnlg", JSON).rows


def test_triples_are_written_and_found_again(read: "Read", write: "Write") -> None:
    row = {
        "doc_id": "d",
        "text": "Ann met Bob and Cy.",
        "spans": [
            [0, 3, "Q1", "Ann"],
            [8, 11, "Bob B.", "Bob", {"title": "Bob (x)"}],
            [16, 18, None, "Cy"],
        ],
        "triples": [[0, "met", 1]],
    }
    text, report = write("webnlg", row)
    assert report["dropped"] == {"span without a triple": 1}
    entry = json.loads(text)["entries"][0]["1"]
    assert entry["modifiedtripleset"] == [
        {"subject": "Ann", "property": "met", "object": "Bob_(x)"}
    ]
    back = read("webnlg", text).rows[0]
    assert back["doc_id"] == "d"
    assert [span[:3] for span in back["spans"]] == [[0, 3, "Ann"], [8, 11, "Bob (x)"]]


def test_texts_without_triples_cannot_be_written(write: "Write") -> None:
    row = {"doc_id": "d", "text": "Ann", "spans": [[0, 3, "Q1", "Ann"]]}
    with pytest.raises(
        InputError, match="none of 1 documents has anything that webnlg can represent"
    ):
        write("webnlg", row)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"entries": [{"1": {"lex": "x"}}]}', "entry 1: got another shape"),
        ('{"rows": []}', "got another shape"),
        ("{\n", "line 2: is not JSON"),
        ("<a>\n<b></a>", "line 2: is not XML"),
        ("<!DOCTYPE a><a/>", "document type"),
        (XML.replace(" | city", ""), "entry 1: got another shape"),
    ],
)
def test_other_content_is_refused(read: "Read", content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read("webnlg", content)
