"""Documents from the descriptions and statements of a knowledge base."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from relik.errors import InputError
from relik_training.data.distant import DistantConfig, distant_documents
from relik_training.data_cli import app
from relik_training.formats.conversion_report import Report

KB: list[dict[str, Any]] = [
    {
        "id": "Q1",
        "name": "Ada Lovelace",
        "aliases": ["Lovelace"],
        "long_description": "Ada King Lovelace was born in London. Lovelace knew mathematics.",
    },
    {
        "id": "Q2",
        "name": "London",
        "long_description": "London is the capital of England.\\nParis is not.",
    },
    {"id": "Q3", "name": "England"},
    {"id": "Q4", "name": "mathematics", "long_description": "Mathematics is a part of science."},
    {"id": "Q5", "name": "science"},
    {"id": "Q6", "name": "Paris", "long_description": "Paris is in France."},
]
STATEMENTS: list[dict[str, Any]] = [
    {"h": "Q1", "r": ["P19", "P551"], "t": "Q2"},
    {"h": "Q2", "r": "P1376", "t": "Q3"},
    {"h": "Q3", "r": "P36", "t": "Q2"},
    {"h": "Q4", "r": "P361", "t": "Q5"},
    {"h": "Q6", "r": "P17", "t": "Q142"},
]


def _lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _made(
    folder: Path,
    kb: list[dict[str, Any]] = KB,
    statements: list[dict[str, Any]] = STATEMENTS,
    **options: Any,
) -> tuple[dict[str, dict[str, Any]], Report]:
    out, report = folder / "out.jsonl", Report()
    config = DistantConfig(
        kb=_lines(folder / "kb.jsonl", kb),
        statements=_lines(folder / "statements.jsonl", statements),
        **options,
    )
    distant_documents(config, out, report)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return {row["doc_entity"]: row for row in rows}, report


def _said(row: dict[str, Any]) -> set[tuple[str, str, str]]:
    spans = row["spans"]
    return {(spans[s][3], relation, spans[o][3]) for s, relation, o in row["triples"]}


def test_a_description_has_the_statements_whose_sides_it_names(tmp_path: Path) -> None:
    documents, report = _made(tmp_path)
    assert _said(documents["Q2"]) == {("London", "P1376", "England"), ("England", "P36", "London")}
    assert [span[2] for span in documents["Q2"]["spans"]] == ["Q2", "Q3"]
    assert set(documents) == {"Q1", "Q2", "Q4"}
    assert (report.documents, report.triples) == (3, 5)


def test_the_subject_may_stand_with_more_names_than_the_record_has(tmp_path: Path) -> None:
    row = _made(tmp_path)[0]["Q1"]
    assert ("Ada King Lovelace", "P19", "London") in _said(row)
    assert [span[3] for span in row["spans"]] == ["Ada King Lovelace", "London", "Lovelace"]


def test_the_first_word_may_have_a_capital_that_its_name_has_not(tmp_path: Path) -> None:
    assert _said(_made(tmp_path)[0]["Q4"]) == {("Mathematics", "P361", "science")}


def test_names_are_whole_words_and_the_longer_one_wins(tmp_path: Path) -> None:
    kb = [
        {"id": "A", "name": "York", "long_description": "York is no Yorkshire, nor New York."},
        {"id": "B", "name": "New York"},
    ]
    row = _made(tmp_path, kb, [{"h": "A", "r": "P", "t": "B"}])[0]["A"]
    assert [(span[0], span[2]) for span in row["spans"]] == [(0, "A"), (26, "B")]


def test_names_and_texts_that_were_escaped_twice_meet(tmp_path: Path) -> None:
    kb = [
        {"id": "A", "name": r"Ren\u00E9", "long_description": r"Ren\u00E9 lives in Orléans."},
        {"id": "B", "name": r"Orl\u00E9ans"},
    ]
    row = _made(tmp_path, kb, [{"h": "A", "r": "P", "t": "B"}])[0]["A"]
    assert _said(row) == {("René", "P", "Orléans")}


def test_a_name_of_two_neighbours_is_neither(tmp_path: Path) -> None:
    kb = [
        {"id": "A", "name": "Anna", "long_description": "Anna plays in Georgia and in Texas."},
        {"id": "B", "name": "Georgia"},
        {"id": "C", "name": "Georgia"},
        {"id": "D", "name": "Texas"},
    ]
    ties = [{"h": "A", "r": "P", "t": each} for each in "BCD"]
    assert _said(_made(tmp_path, kb, ties)[0]["A"]) == {("Anna", "P", "Texas")}


def test_line_ends_written_as_two_characters_are_line_ends(tmp_path: Path) -> None:
    kb = [{**KB[1], "long_description": "London is the capital of England.\\nIt is old."}, KB[2]]
    row = _made(tmp_path, kb)[0]["Q2"]
    assert row["text"] == "London is the capital of England.\nIt is old."


@pytest.mark.parametrize(
    "held",
    [
        {"text": "Nothing of it.", "doc_entity": "Q2"},
        {"text": "Before. london is the  capital of England!", "doc_entity": "Q9"},
    ],
    ids=["subject", "sentence"],
)
def test_what_is_measured_is_left_out(tmp_path: Path, held: dict[str, Any]) -> None:
    without = _lines(tmp_path / "test.jsonl", [held])
    documents, report = _made(tmp_path, without=(without,))
    assert set(documents) == {"Q1", "Q4"}
    assert sum("--without" in reason for reason in report.as_dict()["dropped"]) == 1


def test_relations_are_those_that_are_asked_for(tmp_path: Path) -> None:
    listed = _lines(tmp_path / "relations.jsonl", [{"id": "P19"}, {"id": "P36"}, {"id": "P361"}])
    documents, _ = _made(tmp_path, relations=listed, skip=("P361",))
    found = {each[1] for row in documents.values() for each in _said(row)}
    assert found == {"P19", "P36"}


@pytest.mark.parametrize(
    ("kb", "statements", "message"),
    [
        ([{"id": "A", "name": "Anna"}], STATEMENTS, "no long_description"),
        (KB, [{"h": "Q7", "r": "P", "t": "Q8"}], "same ids"),
        (KB, [{"subject": "Q1"}], "expected {"),
        ([{"name": "Anna"}], STATEMENTS, "no id or no name"),
    ],
)
def test_files_that_do_not_fit_are_told_and_nothing_is_made(
    tmp_path: Path, kb: list[dict[str, Any]], statements: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        _made(tmp_path, kb, statements)
    assert not (tmp_path / "out.jsonl").exists()


_WORDS = st.lists(
    st.sampled_from(["Ada", "London", "New", "York", "x", "é", "e\u0301", "😀", ".", "مدينة"]),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(text=_WORDS, names=st.lists(_WORDS.map(" ".join), min_size=2, max_size=4, unique=True))
def test_spans_are_what_the_text_has_there(
    tmp_path_factory: pytest.TempPathFactory, text: list[str], names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("distant")
    kb = [{"id": str(at), "name": name} for at, name in enumerate(names)]
    kb[0]["long_description"] = " ".join(text)
    ties = [{"h": "0", "r": "P", "t": str(at)} for at in range(1, len(names))]
    try:
        documents, _ = _made(folder, kb, ties)
    except InputError:
        return
    for row in documents.values():
        for start, end, key, surface in row["spans"]:
            assert row["text"][start:end] == surface
            assert key in {"0", "1", "2", "3"}
        places = [span[:2] for span in row["spans"]]
        assert all(one[1] <= other[0] for one, other in pairwise(places))
        assert {len(triple) for triple in row["triples"]} == {3}


def test_the_command_prints_counts_and_writes_the_file(tmp_path: Path) -> None:
    kb, ties = _lines(tmp_path / "kb.jsonl", KB), _lines(tmp_path / "ties.jsonl", STATEMENTS)
    out = tmp_path / "out.jsonl.gz"
    command = ["distant", str(kb), str(ties), str(out), "--skip", "P551"]
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["triples"] == 4
    assert out.exists()
    shown = CliRunner().invoke(app, command)
    assert "3 documents" in shown.stdout
