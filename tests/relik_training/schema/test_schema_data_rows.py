"""Rows of another schema: cut into sentences, and with names of the recipe's own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="training is an extra")

from relik.errors import InputError
from relik_training.recipes.schema_settings import SchemaSource
from relik_training.schema.schema_data import PARTIAL, UNRELATED, rows_of, sentence_ranges


def _row(text: str, spans: list[tuple[str, str, int]], **more: Any) -> dict[str, Any]:
    """Make a row of mentions (surface, type, first code point to look from)."""
    found = []
    for surface, kind, since in spans:
        at = text.index(surface, since)
        found.append([at, at + len(surface), None, surface, {"type": kind}])
    return {"doc_id": "d", "text": text, "spans": found, "triples": [], **more}


_TEXT = "Ada was born in London . She left it ; Ada died in Paris !"
_SPANS = [("Ada", "PER", 0), ("London", "LOC", 0), ("Ada", "PER", 20), ("Paris", "LOC", 0)]


def _surfaces(row: dict[str, Any]) -> list[str]:
    for start, end, _, surface, _ in row["spans"]:
        assert row["text"][start:end] == surface
    return [span[3] for span in row["spans"]]


def test_a_file_without_settings_stays_as_it_is() -> None:
    row = _row(_TEXT, _SPANS, triples=[[0, "P19", 1]])
    assert list(rows_of(row, SchemaSource(path="f"))) == [row]


def test_sentences_have_their_mentions_and_the_triples_between_them() -> None:
    row = _row(_TEXT, _SPANS, triples=[[0, "P19", 1], [0, "P20", 3], [2, "P20", 3]])
    first, second = rows_of(row, SchemaSource(path="f", sentences=True))
    assert first["text"] == "Ada was born in London ."
    assert second["text"] == "She left it ; Ada died in Paris !"
    assert (_surfaces(first), _surfaces(second)) == (["Ada", "London"], ["Ada", "Paris"])
    assert first["triples"] == [[0, "P19", 1]]
    assert second["triples"] == [[0, "P20", 1]]
    assert first["doc_id"] != second["doc_id"]


def test_a_triple_holds_between_all_mentions_of_its_clusters() -> None:
    row = _row(_TEXT, _SPANS, triples=[[0, "P20", 3]], clusters=[[0, 2], [1], [3]])
    first, second = rows_of(row, SchemaSource(path="f", sentences=True))
    assert first["triples"] == []
    assert second["triples"] == [[0, "P20", 1]]


def test_a_mention_keeps_its_sentence_together() -> None:
    row = _row("He worked for Yahoo ! Inc until May .", [("Yahoo ! Inc", "ORG", 0)])
    (whole,) = rows_of(row, SchemaSource(path="f", sentences=True))
    assert whole["text"] == row["text"]
    assert _surfaces(whole) == ["Yahoo ! Inc"]


def test_quotation_marks_close_the_sentence_they_stand_behind() -> None:
    text = "`` I left . '' he said . ( Twice ! ) Then he sat"
    assert [text[a:b] for a, b in sentence_ranges(text)] == [
        "`` I left . ''",
        "he said .",
        "( Twice ! )",
        "Then he sat",
    ]


def test_a_line_ends_a_sentence() -> None:
    text = "Rome wins\nBy Ada Byron\nROME 1996 \n\nHe said . '' \n '' No"
    found = [text[a:b] for a, b in sentence_ranges(text)]
    assert found == ["Rome wins", "By Ada Byron", "ROME 1996", "He said . ''", "'' No"]


def test_rows_say_what_is_not_annotated() -> None:
    row = _row(_TEXT, _SPANS)
    (partial,) = rows_of(row, SchemaSource(path="f", complete=False))
    assert (partial[PARTIAL], UNRELATED in partial) == (True, False)
    (unrelated,) = rows_of(row, SchemaSource(path="f", relations=False))
    assert (unrelated[UNRELATED], PARTIAL in unrelated) == (True, False)


def test_a_partial_row_without_a_mention_is_left_out() -> None:
    row = _row(_TEXT, [])
    assert list(rows_of(row, SchemaSource(path="f", complete=False))) == []
    assert len(list(rows_of(row, SchemaSource(path="f", relations=False)))) == 1


@pytest.mark.parametrize(("most", "kept"), [(0, 2), (9, 2), (8, 1), (5, 0)])
def test_long_texts_are_left_out(most: int, kept: int) -> None:
    source = SchemaSource(path="f", sentences=True, max_words=most)
    assert len(list(rows_of(_row(_TEXT, _SPANS), source))) == kept


def test_relations_say_what_their_arguments_are() -> None:
    text = "Ada of Acme and Bob in Paris"
    row = _row(text, [("Ada", "", 0), ("Acme", "", 0), ("Bob", "", 0), ("Paris", "", 0)])
    row["spans"] = [span[:4] for span in row["spans"]]
    row["triples"] = [[1, "staff", 0], [2, "title", 3], [0, "staff", 2]]
    types = {"staff": ("Org", "Peop")}
    names = {"staff": "-Work_For"}
    source = SchemaSource(path="f", argument_types=types, relation_names=names)
    (made,) = rows_of(row, source)
    # The first relation of a mention says what it is; what none says is no mention of a type.
    assert [(span[3], span[4]["type"]) for span in made["spans"]] == [
        ("Ada", "Peop"),
        ("Acme", "Org"),
        ("Bob", "Peop"),
    ]
    assert made["triples"] == [[0, "Work_For", 1], [2, "Work_For", 0]]


def test_types_and_relations_are_called_what_the_recipe_calls_them() -> None:
    row = _row(
        "Ada of Acme in Paris , France , in 1850",
        [
            ("Ada", "PER", 0),
            ("Acme", "ORG", 0),
            ("Paris", "LOC", 0),
            ("France", "LOC", 0),
            ("1850", "TIME", 0),
        ],
        triples=[
            [0, "P17", 3],
            [1, "P17", 3],
            [2, "P17", 3],
            [3, "P150", 2],
            [1, "P571", 4],
            [0, "P999", 1],
        ],
    )
    source = SchemaSource(
        path="f",
        type_names={"PER": "Peop", "ORG": "Org", "LOC": "Loc"},
        relation_names={
            "P17": "Located_In",
            "ORG P17": "OrgBased_In",
            "P150": "-Located_In",
            "P571": "Founded",
        },
    )
    (named,) = rows_of(row, source)
    assert [span[4]["type"] for span in named["spans"]] == ["Peop", "Org", "Loc", "Loc"]
    # The last of these is the inverse of the one before it; a time and P999 have no name here.
    assert named["triples"] == [
        [0, "Located_In", 3],
        [1, "OrgBased_In", 3],
        [2, "Located_In", 3],
    ]
    assert row["spans"][0][4] == {"type": "PER"}


@pytest.mark.parametrize(
    "row",
    [
        {"doc_id": "d"},
        {"doc_id": "d", "text": "a .", "spans": [[0]]},
        {"doc_id": "d", "text": "a .", "spans": [], "triples": [[0, "P1", 7]]},
        {"doc_id": "d", "text": 5, "spans": []},
    ],
)
def test_a_row_of_another_shape_is_refused_by_its_text(row: dict[str, Any]) -> None:
    source = SchemaSource(path="f", sentences=True, relation_names={"P1": "Lives"})
    with pytest.raises(InputError, match="f: text 'd'"):
        list(rows_of(row, source))


@given(st.text(alphabet='ab.!?" \u00a0\u0301\u05d0\n', max_size=40))
def test_sentences_cover_every_word_once_and_in_order(text: str) -> None:
    ranges = sentence_ranges(text)
    assert [word for a, b in ranges for word in text[a:b].split()] == text.split()
    for start, end in ranges:
        assert text[start:end] == text[start:end].strip()
        assert text[start:end]
