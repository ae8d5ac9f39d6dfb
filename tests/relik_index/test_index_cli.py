"""`relik index`."""

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

from relik.errors import BundleNotFoundError, ConfigError, InputError
from relik.kb import KnowledgeBase
from relik_index.cli import app

Build = Callable[..., Path]
RECORDS = [{"id": "Q90", "name": "Paris"}]


def test_info_and_verify_print_one_json_object(build: Build) -> None:
    out = str(build(RECORDS))
    info = CliRunner().invoke(app, ["info", out, "--json"])
    assert info.exit_code == 0
    said = json.loads(info.stdout)
    assert said["rows"] == 1
    assert said["format_version"] == 1
    assert set(said["files"]) == {
        "ids.rows",
        "ids.trie",
        "names.trie",
        "records.arrow",
        "vectors.faiss",
    }
    verified = CliRunner().invoke(app, ["verify", out, "--json"])
    assert json.loads(verified.stdout)["version"] == said["version"]


def test_without_json_a_table_is_printed(build: Build) -> None:
    shown = CliRunner().invoke(app, ["info", str(build(RECORDS))])
    assert shown.exit_code == 0
    assert "rows" in shown.stdout


def test_errors_are_left_to_the_command_that_mounts_it(tmp_path: Path) -> None:
    missing = CliRunner().invoke(app, ["verify", str(tmp_path / "missing")])
    assert isinstance(missing.exception, BundleNotFoundError)
    wrong = CliRunner().invoke(app, ["build", "kb.jsonl", "out", "--vectors", "pq1"])
    assert isinstance(wrong.exception, ConfigError)


def test_links_are_counted_and_vectors_taken_over(tmp_path: Path) -> None:
    source = tmp_path / "kb.jsonl"
    source.write_text('{"id": "a", "name": "Rome"}\n{"id": "b", "name": "Rome in Georgia"}\n')
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "in Rome", "spans": [[3, 7, "b", "Rome"]]}\n')

    def build(out: str, *options: str) -> dict[str, object]:
        arguments = ["build", str(source), str(tmp_path / out), *options, "--json"]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        told: dict[str, object] = json.loads(done.stdout)
        return told

    plain = build("plain")
    assert (plain["counted"], "linked" in plain, "reused" in plain) == (False, False, False)
    told = build("counted", "--linked-text", str(texts), "--reuse", str(tmp_path / "plain"))
    assert (told["counted"], told["linked"], told["reused"]) == (True, 1, 2)
    assert told["sources"] == ["kb.jsonl", "texts.jsonl"]
    kb = KnowledgeBase.open(tmp_path / "counted", verify=True)
    assert {match.row: match.count for match in kb.names.lookup("rome")} == {0: 0, 1: 1}


def test_linked_text_about_other_records_makes_no_index(tmp_path: Path) -> None:
    source = tmp_path / "kb.jsonl"
    source.write_text('{"id": "a", "name": "Rome"}\n')
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "in Rome", "spans": [[3, 7, "Q220", "Rome"]]}\n')
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["build", str(source), str(out), "--linked-text", str(texts)])
    assert isinstance(done.exception, InputError)
    assert "got 1 ids, such as Q220, and none that a record has" in str(done.exception)
    assert not out.exists()
