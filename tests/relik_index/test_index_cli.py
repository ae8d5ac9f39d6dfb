"""`relik index`."""

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

from relik.errors import BundleNotFoundError, ConfigError
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
