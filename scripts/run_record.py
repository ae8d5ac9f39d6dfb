"""Records which tests ran, so that a run that is cut short says what it left out.

As a pytest plugin (`PYTHONPATH=scripts pytest -p run_record --record FILE`) it writes a line for
what is about to run and one for each test when it ends. `--passed-in FILE` leaves out what passed
in an earlier run. `--core FILE` runs the tests that are named there first, in that order, then the
others, those with the marker `slow` last.

As a command (`python scripts/run_record.py FILE ... --core FILE`) it prints what did not run in any
of the runs. It fails where that is a test of the core set: one that was skipped counts as not run.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

# A test that fails in its set-up or its tear-down has failed.
WORSE = {"passed": 0, "skipped": 1, "failed": 2}
LEFT_OUT = ("not run", "skipped")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the plugin."""
    group = parser.getgroup("record")
    group.addoption("--record", type=Path, help="file to write a line for each test to")
    group.addoption(
        "--passed-in", type=Path, help="record of a run whose passed tests are left out"
    )
    group.addoption("--core", type=Path, help="list of tests to run first")


def pytest_configure(config: pytest.Config) -> None:
    """Begin the record."""
    if config.option.record:
        config.pluginmanager.register(Recorder(config.option.record), "run-recorder")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what passed before, and put the core set first."""
    if config.option.passed_in:
        passed = {
            name for name, how in outcomes(config.option.passed_in).items() if how == "passed"
        }
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in passed])
        items[:] = [item for item in items if item.nodeid not in passed]
    if config.option.core:
        core = core_set(config.option.core)
        items.sort(
            key=lambda item: (place(item.nodeid, core), item.get_closest_marker("slow") is not None)
        )


class Recorder:
    """Writes a record line by line: what kills the run takes nothing of it.

    Args:
        path: The record; replaced where it exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcome: dict[str, str] = {}
        path.write_text("", encoding="utf-8")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write which tests are about to run."""
        self._write({"planned": [item.nodeid for item in session.items]})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst outcome of a test's set-up, call and tear-down."""
        before = self._outcome.get(report.nodeid, "passed")
        self._outcome[report.nodeid] = max(before, report.outcome, key=WORSE.__getitem__)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Write how a test ended."""
        self._write({"ended": nodeid, "outcome": self._outcome.pop(nodeid, "skipped")})

    def _write(self, line: dict[str, object]) -> None:
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(f"{json.dumps(line)}\n")


def core_set(path: Path) -> list[str]:
    """Read a list of tests: a file or a test a line, `#` begins a comment."""
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def belongs(nodeid: str, entry: str) -> bool:
    """Tell whether a test is what an entry of the core set names: a file, a test, or one case."""
    return nodeid == entry or nodeid.startswith((f"{entry}::", f"{entry}["))


def place(nodeid: str, core: Sequence[str]) -> int:
    """Return which entry of the core set names a test; their number where none does."""
    return next((at for at, entry in enumerate(core) if belongs(nodeid, entry)), len(core))


def outcomes(*paths: Path) -> dict[str, str]:
    """Read records; of a test that is in several, the last counts.

    Returns:
        "passed", "failed", "skipped", or "not run" by test, in the order in which they were to run.
    """
    found: dict[str, str] = {}
    lines = (line for path in paths for line in path.read_text(encoding="utf-8").splitlines())
    for line in lines:
        row = json.loads(line)
        found.update(dict.fromkeys(row.get("planned", []), "not run"))
        if "ended" in row:
            found[row["ended"]] = row["outcome"]
    return found


def missing_of_core(found: dict[str, str], core: Sequence[str]) -> list[str]:
    """Say which tests of the core set did not run.

    Args:
        found: Outcomes by test.
        core: Entries of the core set.

    Returns:
        A line for each entry of which tests did not run, or that names none.
    """
    missing = []
    for entry in core:
        of_entry = [how for name, how in found.items() if belongs(name, entry)]
        left_out = [how for how in of_entry if how in LEFT_OUT]
        if not of_entry:
            missing.append(f"{entry}: names no test of these runs")
        elif left_out:
            said = ", ".join(f"{left_out.count(how)} {how}" for how in LEFT_OUT if how in left_out)
            missing.append(f"{entry}: {said} of {len(of_entry)}")
    return missing


def report(found: dict[str, str], core: Sequence[str]) -> int:
    """Print what ran and what did not.

    Returns:
        Exit status: 1 where a test of the core set did not run.
    """
    counts = {how: [*found.values()].count(how) for how in (*WORSE, "not run")}
    print(", ".join(f"{count:,} {how}" for how, count in counts.items()))
    left_out = Counter(
        (how, name.partition("[")[0]) for name, how in found.items() if how in LEFT_OUT
    )
    for (how, name), cases in left_out.items():
        print(f"  {how}: {name}{f' ({cases} cases)' if cases > 1 else ''}")
    missing = missing_of_core(found, core)
    if missing:
        print("Tests of the core set did not run: give them more time, or what they need:")
        print("\n".join(f"  {line}" for line in missing))
    return 1 if missing else 0


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Print what a run of the tests left out.")
    parser.add_argument("records", type=Path, nargs="+", help="what --record of the plugin wrote")
    parser.add_argument("--core", type=Path, required=True, help="list of tests that must run")
    asked = parser.parse_args()
    return report(outcomes(*asked.records), core_set(asked.core))


if __name__ == "__main__":
    sys.exit(main())
