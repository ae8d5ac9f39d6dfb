"""AIDA CoNLL-YAGO."""

from typing import TYPE_CHECKING

import pytest

from relik.errors import InputError

if TYPE_CHECKING:
    from tests.relik_training.formats.conftest import Read, Write

LONDON = "B\tLondon\tLondon\thttp://en.wikipedia.org/wiki/London\t17867\t/m/04jpl"
SAO = "S\\u00e3o_Tom\\u00e9\thttp://en.wikipedia.org/wiki/S%C3%A3o_Tom%C3%A9\t1"
FILE = f"""-DOCSTART- (1 EU)
Fog
in
London\t{LONDON}

Ann\tB\tAnn Lee\t--NME--
Lee\tI\tAnn Lee\t--NME--
Bob\tB\tBob\t--NME--

-DOCSTART- (947testa CRICKET)
S\u00e3o\tB\tS\u00e3o Tom\u00e9\t{SAO}
Tom\u00e9\tI\tS\u00e3o Tom\u00e9\t{SAO}

-DOCSTART- (1163testb SOCCER)
Rain
"""


def test_pages_become_ids_and_sentences_lines(read: "Read") -> None:
    first, second, third = read("aida", FILE).rows
    assert first["text"] == "Fog in London\nAnn Lee Bob"
    extra = {"title": "London", "page_id": "17867", "mid": "/m/04jpl"}
    assert first["spans"][0] == [7, 13, "London", "London", extra]
    assert first["spans"][1:] == [[14, 21, None, "Ann Lee"], [22, 25, None, "Bob"]]
    assert second["spans"][0][2:4] == ["S\u00e3o Tom\u00e9", "S\u00e3o Tom\u00e9"]
    assert [row["doc_id"] for row in (first, second, third)][1] == "947testa CRICKET"
    assert [row["split"] for row in (first, second, third)] == ["train", "testa", "testb"]


def test_windows_line_ends_and_a_mark_of_utf8_change_nothing(read: "Read") -> None:
    other = "\ufeff" + FILE.replace("\n", "\r\n")
    assert read("aida", other).rows == read("aida", FILE).rows


def test_titles_are_looked_up_and_those_not_known_counted(read: "Read") -> None:
    done = read("aida", FILE, '{"title": "London", "id": "Q84"}\n')
    assert [span[2] for span in done.rows[0]["spans"]] == ["Q84", None, None]
    assert done.rows[1]["spans"][0][2] is None
    assert done.report["linked"] == 1
    assert done.report["dropped"] == {"title is not in --entities": 1}


def test_an_entity_without_a_page_keeps_its_yago_name(read: "Read") -> None:
    row = read("aida", "-DOCSTART- (x)\nRio\tB\tRio\tR\\u00edo_\\ud83d\\ude00\n").rows[0]
    assert row["spans"] == [[0, 3, "R\u00edo_\U0001f600", "Rio"]]


def test_spans_lines_and_columns_are_written(write: "Write") -> None:
    spans = [
        [0, 3, "Q1", "Ann", {"title": "Ann (n\u00e9e \U0001f600)"}],
        [9, 15, "id 2", "London"],
        [9, 12, None, "Lon"],
        [16, 20, None, "Lee."],
    ]
    text, report = write(
        "aida", {"doc_id": "a b", "text": "Ann's in\nLondon\nLee.", "spans": spans}
    )
    assert text == (
        "-DOCSTART- (a b)\n"
        "Ann\tB\tAnn\tAnn_(n\\u00e9e_\\ud83d\\ude00)\t"
        "http://en.wikipedia.org/wiki/Ann_(n%C3%A9e_%F0%9F%98%80)\t\n"
        "'s\nin\n\n"
        "London\tB\tLondon\tid\\u00202\n\n"
        "Lee\tB\tLee .\t--NME--\n.\tI\tLee .\t--NME--\n"
    )
    assert report["dropped"] == {"span overlaps another": 1}


def test_triples_are_dropped_and_counted(write: "Write") -> None:
    row = {
        "doc_id": "a",
        "text": "Ann Bob",
        "spans": [[0, 3, None, "Ann"], [4, 7, None, "Bob"]],
        "triples": [[0, "knows", 1]],
    }
    report = write("aida", row)[1]
    assert report["dropped"] == {"aida holds no triples": 1}
    assert report["examples"] == [
        {"doc_id": "a", "span": [0, 3], "reason": "aida holds no triples"}
    ]


@pytest.mark.parametrize(
    "line", ["Fog\n", "-DOCSTART- (a)\nFog NNP\tO\n", "-DOCSTART- (a)\nA\tB\n"]
)
def test_another_kind_of_table_is_refused(read: "Read", line: str) -> None:
    with pytest.raises(InputError, match=r"source, line [12]: .* give AIDA CoNLL-YAGO TSV"):
        read("aida", line)
