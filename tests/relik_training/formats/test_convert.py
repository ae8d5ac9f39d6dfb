"""`relik data convert`: reports, exit codes, bad files."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from relik.cli import main
from relik.errors import ConfigError, InputError
from relik_training.data_cli import app
from relik_training.formats.conversion_report import MAX_EXAMPLES, Report
from relik_training.formats.convert import Conversion, convert
from relik_training.formats.extras import import_optional
from relik_training.formats.table import FORMATS

GOOD = {
    "doc_id": "d",
    "text": "Ann met Bob",
    "spans": [[0, 3, "Q1", "Ann"], [8, 11, None, "Bob"]],
    "triples": [[0, "met", 1]],
}
WRONG = {**GOOD, "spans": [[1, 4, "Q1", "Ann"], [8, 11, None, "Bob"]]}
TEXT_FORMATS = sorted(set(FORMATS) - {"docbin", "nif"})


def write_rows(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(source: Path, target: Path, *more: str, to: str = "relik") -> tuple[int, str, str]:
    arguments = ["convert", str(source), str(target), "--from", "relik", "--to", to, *more]
    done = CliRunner().invoke(app, arguments)
    if isinstance(done.exception, InputError | ConfigError):
        return 2, done.stdout, str(done.exception)
    return done.exit_code, done.stdout, done.stderr


def test_json_is_one_object_with_counts_reasons_and_examples(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", GOOD, WRONG)
    code, out, _ = run(source, tmp_path / "b.jsonl", "--json", to="doccano")
    assert code == 0
    assert json.loads(out) == {
        "input": str(source),
        "output": str(tmp_path / "b.jsonl"),
        "documents": 2,
        "spans": 3,
        "linked": 1,
        "triples": 1,
        "dropped": {"offsets do not match the surface": 1, "triple without one of its spans": 1},
        "examples": [
            {"doc_id": "d", "span": [1, 4], "reason": "offsets do not match the surface"},
            {"doc_id": "d", "span": [1, 4], "reason": "triple without one of its spans"},
        ],
        "notes": {},
        "not_held": FORMATS["doccano"].loses,
    }


def test_without_json_a_person_can_read_it(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", {**WRONG, "doc_id": "[d] :cat:"})
    code, out, _ = run(source, tmp_path / "b.jsonl")
    assert code == 0
    assert "1 documents, 1 spans, 0 linked, 0 triples" in out
    assert "[d] :cat: 1-4: offsets do not match the surface" in out


def test_strict_makes_no_file_and_still_reports(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", GOOD, WRONG)
    target = tmp_path / "b.jsonl"
    code, out, error = run(source, target, "--strict", "--json")
    assert code == 2
    assert json.loads(out)["dropped"]["offsets do not match the surface"] == 1
    assert "--strict" in error
    assert list(tmp_path.iterdir()) == [source]
    assert run(write_rows(source, GOOD), target, "--strict", "--json")[0] == 0
    assert target.is_file()


def test_the_command_exits_with_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_rows(tmp_path / "a.jsonl", WRONG)
    target = tmp_path / "b.jsonl"
    arguments = ["data", "convert", str(source), str(target), "--from", "relik"]
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--to", "spert", "--strict"])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("relik: error: ")
    assert len(error.splitlines()) == 1


def test_only_the_first_examples_are_listed(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", *[WRONG] * 30)
    report = json.loads(run(source, tmp_path / "b.jsonl", "--json")[1])
    assert report["dropped"]["offsets do not match the surface"] == 30
    assert len(report["examples"]) == MAX_EXAMPLES


def test_an_unknown_format_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", GOOD)
    code, _, error = run(source, tmp_path / "b", to="docret")
    assert code == 2
    assert "did you mean 'docred'?" in error


def test_the_input_is_never_the_output(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", WRONG)
    before = source.read_bytes()
    code, _, error = run(source, tmp_path / "x" / ".." / "a.jsonl")
    assert (code, source.read_bytes()) == (2, before)
    assert "the file that is read" in error


def test_a_failure_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text(json.dumps(GOOD) + "\n{\n")
    target = tmp_path / "b.jsonl"
    target.write_text("before")
    assert run(source, target)[0] == 2
    assert target.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", GOOD)
    for target in (tmp_path, source / "b"):
        code, _, error = run(source, target)
        assert code == 2
        assert f"{target}: cannot be written" in error


def test_half_of_a_character_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text('{"doc_id": "\\ud800", "text": "Ann", "spans": []}\n')
    code, _, error = run(source, tmp_path / "b.jsonl")
    assert code == 2
    assert "half of a surrogate pair in document '\\ud800'" in error


def convert_from(name: str, source: Path) -> None:
    target = source.with_name("target")
    convert(
        Conversion(source=source, target=target, source_format=name, target_format="relik"),
        Report(),
    )


@pytest.mark.parametrize("name", TEXT_FORMATS)
@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("empty", b"", "empty: got no documents|empty, line 1: is not JSON"),
        ("blank", b"\n \n", "blank: got no documents|blank, line 3: is not JSON"),
        ("latin", b'\n{"text": "\xe9"}\n', "latin, line 2: is not UTF-8"),
        (
            "cut.gz",
            gzip.compress(b"\n" * 9999)[:-9],
            r"cut.gz, line \d+: cannot be read",
        ),
        ("plain.gz", b"[]", "plain.gz, line 1: cannot be read"),
    ],
)
def test_files_that_cannot_be_read_are_named_with_the_line(
    tmp_path: Path, name: str, file: str, content: bytes, message: str
) -> None:
    source = tmp_path / file
    source.write_bytes(content)
    with pytest.raises(InputError, match=message):
        convert_from(name, source)


@pytest.mark.parametrize("name", sorted(set(TEXT_FORMATS) - {"aida"}))
@pytest.mark.parametrize("content", [b'[\n{"text" "x"}\n]', b'{\n"text" "x"}'])
def test_json_that_is_broken_is_named_with_the_line(
    tmp_path: Path, name: str, content: bytes
) -> None:
    source = tmp_path / "a.json"
    source.write_bytes(content)
    with pytest.raises(InputError, match=r"a.json, line [12]: is not JSON"):
        convert_from(name, source)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    pytest.importorskip({"docbin": "spacy", "nif": "rdflib"}.get(name, "json"))
    with pytest.raises(InputError, match=r"nowhere.*cannot be read"):
        convert_from(name, tmp_path / "nowhere")


@pytest.mark.parametrize(
    "row",
    [
        {"text": "x"},
        {"text": 3, "spans": []},
        {"text": "x", "spans": [[0, 1.0, None, "x"]]},
        {"text": "x", "spans": [[0, True, None, "x"]]},
        {"text": "x", "spans": [[0, 1, 5, "x"]]},
        {"text": "x", "spans": [[0, 1]]},
        {"text": "x", "spans": [], "triples": [[0, 1, 0]]},
        {"text": "x", "spans": [], "triples": [[[], "r", 0]]},
        {"text": "x", "spans": [], "clusters": 3},
    ],
)
def test_a_line_of_our_own_shape_is_checked(tmp_path: Path, row: dict[str, Any]) -> None:
    source = write_rows(tmp_path / "a.jsonl", GOOD, row)
    with pytest.raises(InputError, match=r"a.jsonl, line 2: got another shape"):
        convert_from("relik", source)


def test_a_package_that_is_missing_is_named_with_its_command() -> None:
    with pytest.raises(ConfigError, match=r"format nif needs .* run pip install no_such_package"):
        import_optional("no_such_package", "nif")


def test_progress_is_told_to_the_end_of_long_files(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", *[GOOD] * 600)
    told: list[tuple[int, int]] = []
    conversion = Conversion(
        source=source, target=tmp_path / "b", source_format="relik", target_format="spert"
    )
    convert(conversion, Report(lambda done, total: told.append((done, total))))
    assert told == sorted(told)
    assert {total for _, total in told} == {source.stat().st_size}
    assert told[-1][0] == source.stat().st_size


def test_the_command_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = ("torch", "transformers", "spacy", "rdflib")
    code = f"import relik_training.data_cli, sys; print(*(set({heavy}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
