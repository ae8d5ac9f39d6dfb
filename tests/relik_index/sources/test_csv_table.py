"""Tables in CSV as knowledge bases."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from relik.errors import InputError
from relik.types import Entity
from relik_index.cli import app
from relik_index.sources.csv_table import CsvColumns, CsvReport, import_csv, read_csv
from relik_index.sources.json_lines import read_source

HEADER = b"id,name,aliases,description\n"


def _read(tmp_path: Path, content: bytes, **columns: object) -> list[Entity]:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    return list(read_csv(path, CsvColumns(**columns)))  # type: ignore[arg-type]


def test_columns_of_the_usual_names_are_found(tmp_path: Path) -> None:
    (tent,) = _read(
        tmp_path, HEADER + b"T1, Kestrel 3 ,Kestrel| tent ||Kestrel 3,two-person tent\n"
    )
    assert tent == Entity(
        entity_id="T1",
        name="Kestrel 3",
        aliases=("Kestrel", "tent"),
        description="two-person tent",
    )


def test_columns_are_named_and_descriptions_joined(tmp_path: Path) -> None:
    content = b"sku;title;also;kind;about\nT1;Kestrel 3;Kestrel/K3;tent;two doors\nT2;Otter;;bag;\n"
    entities = _read(
        tmp_path,
        content,
        id="sku",
        name="title",
        aliases="also",
        alias_separator="/",
        description=("kind", "about"),
        delimiter=";",
    )
    assert [e.aliases for e in entities] == [("Kestrel", "K3"), ()]
    assert [e.description for e in entities] == ["tent, two doors", "bag"]


def test_only_id_and_name_are_needed(tmp_path: Path) -> None:
    assert _read(tmp_path, b"name,id,price\nOtter,T2,20\n") == [
        Entity(entity_id="T2", name="Otter")
    ]


def test_a_byte_order_mark_quotes_line_ends_and_blank_rows_are_taken(tmp_path: Path) -> None:
    row = b'T1,"Fjord: ""Sea""","a game,\r\n for five"'
    content = b"\xef\xbb\xbfid,name,description\r\n\r\n" + row + b"\r\n,,\r\n"
    (game,) = _read(tmp_path, content)
    assert game.name == 'Fjord: "Sea"'
    assert game.description == "a game, for five"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty, expected a first row"),
        (b"\n\n", "is empty, expected a first row"),
        (HEADER, "no rows, expected one or more"),
        (b"key,name\n", "line 1: got no column 'id', expected one of key, name"),
        (b"\nkey,name\n", "line 2: got no column 'id'"),
        (b"id,nam\nT1,x\n", "line 1: got no column 'name', did you mean 'nam'"),
        (b"id;name\nT1;x\n", "separated by ';': give that as the delimiter"),
        (b"id\tname\nT1\tx\n", "separated by tab: give that as the delimiter"),
        (b"id,name,name\nT1,x,y\n", "line 1: got the column 'name' twice"),
        (HEADER + b"T1,x,,\n,y,,\n", "line 3: got an empty id"),
        (HEADER + b"T1, ,,\n", "line 2: got an empty name"),
        (HEADER + b"T1,x,,\nT2,y,,\nT1,z,,\n", "line 4: got the id 'T1' again, which line 2 has"),
        (HEADER + b"T1,x,,a, b\n", "line 2: got 5 cells, expected 4 .* double quotes"),
        (HEADER + b"T1,x\n", "line 2: got 2 cells, expected 4"),
        (HEADER + b"T1,x,,\nT2,\xff,,\n", "line 3: is not UTF-8"),
        (HEADER + b'T1,x,,\nT2,"y,,\nT3,z,,\n', "line 3: is not CSV"),
        (HEADER + b'T1,"x\ny",,\nT1,z,,\n', "line 4: got the id 'T1' again, which line 2 has"),
        (HEADER + b'T1,x,,"' + b"y" * 200_000 + b'"\n', "line 2: is not CSV"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        _read(tmp_path, content)


@pytest.mark.parametrize("column", ["aliases", "description"])
def test_a_column_that_is_asked_for_has_to_be_there(tmp_path: Path, column: str) -> None:
    asked = {"aliases": "others", "description": ("others",)}[column]
    with pytest.raises(InputError, match="line 1: got no column 'others'"):
        _read(tmp_path, HEADER + b"T1,x,,\n", **{column: asked})


def test_a_missing_file_and_wrong_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read \(No such file"):
        list(read_csv(tmp_path / "none.csv", CsvColumns()))
    with pytest.raises(InputError, match="delimiter"):
        CsvColumns(delimiter=";;")
    with pytest.raises(InputError, match="alias separator"):
        CsvColumns(alias_separator="")


def test_nothing_is_left_of_a_table_that_is_refused(tmp_path: Path) -> None:
    source, target = tmp_path / "table.csv", tmp_path / "made" / "kb.jsonl"
    source.write_bytes(HEADER + b"T1,x,,\nT1,y,,\n")
    with pytest.raises(InputError, match="again"):
        import_csv(source, target, CsvColumns())
    assert not list(target.parent.iterdir())
    with pytest.raises(InputError, match="expected another"):
        import_csv(source, source, CsvColumns())
    with pytest.raises(InputError, match="cannot be written"):
        import_csv(source, source / "kb.jsonl", CsvColumns())


def test_shared_names_are_counted(tmp_path: Path) -> None:
    source = tmp_path / "table.csv"
    source.write_bytes(HEADER + b"T1,Kestrel 2,Kestrel,tent\nT2,Kestrel 3,KESTREL|K3,\n")
    report = import_csv(source, tmp_path / "kb.jsonl", CsvColumns())
    assert report == CsvReport(records=2, aliases=3, described=1, shared_names=1)


_CELLS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="|"),
    min_size=1,
)


@settings(max_examples=40)
@given(st.lists(st.tuples(_CELLS, _CELLS, _CELLS), min_size=1, unique_by=lambda row: row[0]))
def test_what_is_imported_can_be_built(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    (folder / "t.csv").write_text("\n".join(["id,name,aliases", *quoted]), encoding="utf-8")
    import_csv(folder / "t.csv", folder / "kb.jsonl", CsvColumns())
    entities = [record.entity for record in read_source(folder / "kb.jsonl")]
    assert [(e.entity_id, e.name) for e in entities] == [row[:2] for row in rows]
    assert [e.aliases for e in entities] == [(a,) * (a != n) for _, n, a in rows]


def test_the_command_writes_lines_and_tells_counts(tmp_path: Path) -> None:
    source, target = tmp_path / "table.csv", tmp_path / "kb.jsonl"
    source.write_text("sku\tname\tkind\tabout\nT1\tOtter\tbag\t20 litres\n", encoding="utf-8")
    options = ["--id-column", "sku", "--delimiter", "tab", "--json"]
    options += ["--description-column", "kind", "--description-column", "about"]
    done = CliRunner().invoke(app, ["import", str(source), str(target), *options])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["records"] == 1
    assert json.loads(target.read_text(encoding="utf-8")) == {
        "id": "T1",
        "name": "Otter",
        "description": "bag, 20 litres",
    }
