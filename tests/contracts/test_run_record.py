"""CI says which tests it ran, and fails where a test of the core set is not among them."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "run_record.py"
CORE = ROOT / ".ci" / "core-tests"
SUITE = """
import os, pytest

@pytest.fixture
def broken():
    yield
    assert "BREAK" not in os.environ

def test_quick(broken): pass

@pytest.mark.parametrize("case", [1, 2])
def test_case(case): pass

def test_absent(): pytest.skip("needs what is not there")

def test_end():
    if "KILL" in os.environ:
        os._exit(9)

def test_after_the_end(): pass
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "test_it.py").write_text(SUITE)
    (tmp_path / "core").write_text("# a comment\n\ntest_it.py::test_end\n")
    return tmp_path


def run(suite: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "run_record", "--rootdir=.", *options],
        cwd=suite,
        env=environ | {"PYTHONPATH": str(SCRIPT.parent)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def said(suite: Path, *records: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *(records or ["record"]), "--core", "core"],
        cwd=suite,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


def test_a_whole_run_names_what_was_skipped(suite: Path) -> None:
    assert run(suite, "--record=record").returncode == 0
    assert said(suite) == (
        0,
        ["5 passed, 1 skipped, 0 failed, 0 not run", "  skipped: test_it.py::test_absent"],
    )


def test_a_run_that_is_cut_short_names_what_it_left_out_and_fails_for_the_core(
    suite: Path,
) -> None:
    assert run(suite, "--record=record", KILL="1").returncode == 9
    status, lines = said(suite)
    assert status == 1
    assert lines[0] == "3 passed, 1 skipped, 0 failed, 2 not run"
    assert "  not run: test_it.py::test_after_the_end" in lines
    assert lines[-1] == "  test_it.py::test_end: 1 not run of 1"


def test_a_run_that_is_cut_short_behind_its_core_passes(suite: Path) -> None:
    (suite / "core").write_text("test_it.py::test_case\n")
    run(suite, "--record=record", KILL="1")
    assert said(suite)[0] == 0


def test_the_core_runs_in_the_order_of_its_list(suite: Path) -> None:
    (suite / "core").write_text("test_it.py::test_case[2]\ntest_it.py::test_end\n")
    run(suite, "--record=record", "--core=core", KILL="1")
    assert said(suite)[1][0] == "1 passed, 0 skipped, 0 failed, 5 not run"


def test_the_core_runs_first(suite: Path) -> None:
    run(suite, "--record=record", "--core=core", KILL="1")
    status, lines = said(suite)
    assert status == 1
    assert lines[0] == "0 passed, 0 skipped, 0 failed, 6 not run"
    assert "  not run: test_it.py::test_case (2 cases)" in lines


def test_a_skipped_test_of_the_core_and_a_name_of_none_fail_the_run(suite: Path) -> None:
    (suite / "core").write_text("test_it.py::test_absent\ntest_it.py::test_gone\n")
    run(suite, "--record=record")
    status, lines = said(suite)
    assert status == 1
    assert lines[-2:] == [
        "  test_it.py::test_absent: 1 skipped of 1",
        "  test_it.py::test_gone: names no test of these runs",
    ]


def test_slow_tests_run_last(suite: Path) -> None:
    marked = SUITE.replace("def test_quick", "@pytest.mark.slow\ndef test_quick")
    (suite / "test_it.py").write_text(marked)
    (suite / "pytest.ini").write_text("[pytest]\nmarkers = slow: takes long\n")
    run(suite, "--record=record", "--core=core")
    rows = [json.loads(line) for line in (suite / "record").read_text().splitlines()]
    planned = rows[0]["planned"]
    assert (planned[0], planned[-1]) == ("test_it.py::test_end", "test_it.py::test_quick")


def test_what_passed_before_is_left_out_and_what_failed_is_not(suite: Path) -> None:
    assert run(suite, "--record=first", BREAK="1").returncode == 1
    assert said(suite, "first")[1][0] == "4 passed, 1 skipped, 1 failed, 0 not run"
    assert run(suite, "--record=second", "--passed-in=first").returncode == 0
    assert said(suite, "second")[1][0] == "1 passed, 1 skipped, 0 failed, 0 not run"
    assert said(suite, "first", "second")[1][0] == "5 passed, 1 skipped, 0 failed, 0 not run"


def test_each_entry_of_the_core_set_names_a_test() -> None:
    lines = (line.partition("#")[0].strip() for line in CORE.read_text("utf-8").splitlines())
    entries = [line for line in lines if line]
    assert len(set(entries)) == len(entries) > 10
    for entry in entries:
        path, _, name = entry.partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert not name or name in {
            node.name for node in tree.body if isinstance(node, ast.FunctionDef)
        }, f"{CORE.name} names {entry}"
