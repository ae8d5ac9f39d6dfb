"""Which relations have one object for each subject."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from relik.errors import InputError
from relik_training.data.distant import Functionality, functionalities
from relik_training.data_cli import app
from relik_training.formats.conversion_report import Report

STATEMENTS = [
    {"h": "Pune", "r": ["P131", "P361"], "t": "Maharashtra"},
    {"h": "Nashik", "r": "P131", "t": "Maharashtra"},
    {"h": "Nashik", "r": "P131", "t": "Maharashtra"},  # told twice, one statement
    {"h": "Maharashtra", "r": "P150", "t": "Pune"},
    {"h": "Maharashtra", "r": "P150", "t": "Nashik"},
]


def written(folder: Path, rows: Iterable[object]) -> Path:
    path = folder / "statements.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_shares_are_of_different_statements(tmp_path: Path) -> None:
    located, contains, part = functionalities(written(tmp_path, STATEMENTS), Report())
    assert located == Functionality(
        relation_id="P131", statements=2, functionality=1.0, inverse_functionality=0.0
    )
    assert (contains.functionality, contains.inverse_functionality) == (0.0, 1.0)
    assert (part.relation_id, part.functionality, part.inverse_functionality) == ("P361", 1.0, 1.0)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from("rs"), st.sampled_from("abcd")),
        min_size=1,
        max_size=20,
    )
)
def test_the_inverse_is_the_same_of_statements_turned_round(
    tmp_path_factory: pytest.TempPathFactory, triples: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("statements")
    found, turned = (
        functionalities(written(folder, rows), Report())
        for rows in (
            [{"h": h, "r": r, "t": t} for h, r, t in triples],
            [{"h": t, "r": r, "t": h} for h, r, t in triples],
        )
    )
    assert [(one.statements, one.functionality) for one in found] == [
        (one.statements, one.inverse_functionality) for one in turned
    ]
    assert all(0 <= one.functionality <= 1 for one in found)
    assert sum(one.statements for one in found) == len(set(triples))


@pytest.mark.parametrize("row", [{"h": "a", "t": "b"}, {"h": "a", "r": [1], "t": "b"}, {"h": 1}])
def test_what_is_no_statement_is_told_with_its_line(tmp_path: Path, row: object) -> None:
    with pytest.raises(InputError, match=r"line 6: got no statement"):
        functionalities(written(tmp_path, [*STATEMENTS, row]), Report())


def test_the_command_prints_settings_that_a_recipe_takes(tmp_path: Path) -> None:
    command = ["functional", str(written(tmp_path, STATEMENTS)), "--least-statements", "2"]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    assert shown.output == 'functional = ["P131"]\ninverse_functional = ["P150"]\n'
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).output)
    assert found["functional"] == ["P131"]
    assert [row["statements"] for row in found["relations"]] == [2, 2]
