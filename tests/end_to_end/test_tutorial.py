"""The tutorial does what it says: its commands exist, its data convert whole, all of it runs."""

import csv
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import typer

from relik.cli import GROUP, build_app, main

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "docs" / "tutorial"
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
# A block of the shell, and what it printed where that is shown.
BLOCKS = re.findall(r"```sh\n(.*?)```\n(?:\n```text\n(.*?)```)?", PAGE, flags=re.DOTALL)


def _lines(block: str) -> list[str]:
    """Split a block into commands, each of which may go on over several lines."""
    return [line.strip() for line in block.replace("\\\n", " ").splitlines() if line.strip()]


COMMANDS = [line for block, _ in BLOCKS for line in _lines(block)]
RELIK = [line for line in COMMANDS if line.startswith("relik ")]
# What needs neither torch nor time; its output is held against the page.
QUICK = ("relik data ", "relik index import ")
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    "COLUMNS": "80",
    "NO_COLOR": "1",
}


def _shell(command: str, folder: Path) -> str:
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _words(text: str) -> list[str]:
    """Read a printed table or line, whatever its spaces."""
    return [" ".join(line.split()) for line in text.splitlines() if line.split()]


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a copy of the sample, as the tutorial does."""
    folder = Path(shutil.copytree(SAMPLE, tmp_path / "tutorial"))
    monkeypatch.chdir(folder)
    return folder


def _relik(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as left:
        main(shlex.split(line)[1:])
    printed = capsys.readouterr()
    assert not left.value.code, printed.err
    return printed.out


@pytest.mark.parametrize("line", RELIK)
def test_every_command_and_option_exists(line: str) -> None:
    words = shlex.split(line)[1:]
    command = typer.main.get_command(build_app(entry_points(group=GROUP), asked=words[0]))
    while subcommands := getattr(command, "commands", None):
        command = subcommands[words.pop(0)]
    # Parses options and arguments, and does nothing yet.
    assert command.make_context("relik", words)


def test_the_sample_converts_splits_and_imports_whole(
    sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = [(_lines(block), output) for block, output in BLOCKS if output]
    quick = [(lines, output) for lines, output in quick if lines[0].startswith(QUICK)]
    assert len(quick) == 2
    for lines, output in quick:
        assert _words("".join(_relik(line, capsys) for line in lines)) == _words(output)
    rows = [
        json.loads(line) for line in (sample / "data/all.jsonl").read_text("utf-8").splitlines()
    ]
    assert len(rows) == 50
    with (sample / "products.csv").open(encoding="utf-8", newline="") as table:
        products = {row["sku"]: row for row in csv.DictReader(table)}
    with (sample / "relations.csv").open(encoding="utf-8", newline="") as table:
        relations = {row["id"] for row in csv.DictReader(table)}
    for row in rows:
        for start, end, sku, surface, _ in row["spans"]:
            assert row["text"][start:end] == surface
            names = products[sku] if sku else {"name": surface, "other_names": ""}
            known = {names["name"], *names["other_names"].split("|")}
            assert surface.casefold() in {name.casefold() for name in known}
        assert {relation for _, relation, _ in row["triples"]} <= relations
    imported = (sample / "knowledge/entities.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["id"] for line in imported] == list(products)
    linked = {span[2] for row in rows for span in row["spans"]}
    assert None in linked
    # Most products are in no text, as in life, and several share the name by which they are called.
    assert len(linked) < len(products)


def test_the_page_shows_the_recipe() -> None:
    shown = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    assert shown == [(SAMPLE / "recipe.toml").read_text(encoding="utf-8")]


def test_the_products_become_an_index(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in RELIK:
        if line.startswith(("relik index import ", "relik index build ")):
            _relik(line, capsys)
    said = json.loads(_relik("relik index info products-index --json", capsys))
    lines = (sample / "knowledge/entities.jsonl").read_text("utf-8").splitlines()
    assert said["rows"] == len(lines) == 176


@contextmanager
def _served(command: str, port: int, folder: Path) -> Iterator[None]:
    process = subprocess.Popen(
        [*shlex.split(command), "--port", str(port)], cwd=folder, env=ENVIRONMENT
    )
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://localhost:{port}/readyz", timeout=5):
                    break
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.slow
def test_all_of_it_runs_and_training_teaches_the_relations(sample: Path) -> None:
    pytest.importorskip("lightning")
    if shutil.which("curl") is None:
        pytest.skip("the tutorial asks the server by curl")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = int(free.getsockname()[1])
    begins = next(at for at, line in enumerate(COMMANDS) if line.startswith("relik data "))
    serve = next(line for line in COMMANDS if line.startswith("relik serve "))
    for line in COMMANDS[begins:]:
        if line.startswith("curl "):
            with _served(serve, port, sample):
                answer = json.loads(
                    _shell(line.replace("localhost:8000", f"localhost:{port}"), sample)
                )
            assert answer["model"] == "tutorial"
            assert answer["documents"][0]["spans"]
        elif line != serve:
            _shell(line, sample)
    gain = {}
    for kind, figure in (("entities", "inkb"), ("triples", "triples")):
        compared = f"relik evaluate {kind} data/test.jsonl --bundle runs/tutorial/bundle --json"
        found = json.loads(_shell(f"{compared} --compare runs/tutorial/base", sample))
        gain[kind] = found["a"][figure]["f1"] - found["b"][figure]["f1"]
    # As the page says: products were found before, and thirty texts teach the relations.
    assert gain["triples"] > 0.2
    assert gain["entities"] > -0.02
