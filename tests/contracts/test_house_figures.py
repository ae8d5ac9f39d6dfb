"""What `scripts/house-figures` counts, on a tree small enough to count by hand."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "house-figures"
COUNTS = runpy.run_path(str(SCRIPT))

FILES = {
    "README.md": "`threshold` is documented.",
    "docs/settings.md": "So is `size`.",
    "pyproject.toml": """
[project.scripts]
relik = "relik.cli:main"

[[tool.importlinter.contracts]]
ignore_imports = ["relik.circle -> relik.back", "relik.back -> torch"]

[[tool.importlinter.contracts]]
ignore_imports = ["relik_index.** -> onnx"]
""",
    "relik/__init__.py": '''"""The library."""

from dataclasses import dataclass

from relik.circle import Pipeline


@dataclass
class Document:
    doc_id: str
    text: str


class Bundle:
    def pipeline(self, backend):
        return Pipeline()


def open_bundle():
    return Bundle()
''',
    "relik/circle.py": '''"""A circle, closed in a function; reading calls `part` twice."""

import types


def part():
    pass


class Reader:
    def read(self):
        part()
        part()


class Pipeline:
    def annotate(self, documents):
        from relik import back

        self.read()
        part()
        coverage = types.SimpleNamespace(windows=1)
        return [types.SimpleNamespace(coverage=coverage)]

    def read(self):
        part()
        Reader().read()
''',
    "relik/back.py": '''"""The other end of the circle."""

from relik.circle import part
''',
    "relik/cli.py": '''"""A command: its importer is outside."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relik.config import PipelineConfig


def main():
    import relik.names
''',
    "relik/__main__.py": "from relik.cli import main\n",
    "relik/names.py": "import relik.parts.names\n",
    "relik/config.py": '''"""Settings, which import the command for types alone."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relik.cli import main


@dataclass
class ReaderConfig:
    threshold: float = 0.5
    unnamed_weight: float = 0.0


@dataclass
class PipelineConfig:
    size: int = 1
    reader: ReaderConfig = field(default_factory=ReaderConfig)
''',
    "relik/parts/__init__.py": '"""Nothing but this line."""\n',
    "relik/parts/names.py": '''"""Has the name of another, and:

a docstring of four lines.
"""

from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
LIMIT = 1  # a comment
"""Documents a constant."""


class Names(Protocol):
    """A seam."""


class Rows(Names, Protocol[T]): ...


class Kept(Names, Generic[T]):
    text = """
    a value, no docstring"""
''',
    "index/relik_index/__init__.py": "",
    "index/relik_index/names.py": "from relik.names import *\n",
    "tests/test_names.py": "def test_one():\n    assert 1\n    assert 2\n\n\ndef other(): ...\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def figures(tree: Path) -> dict[str, Any]:
    return COUNTS["figures_of"](tree, with_pytest=False)


def test_an_init_with_a_docstring_alone_is_no_module(figures: dict[str, Any]) -> None:
    assert figures["modules"].value == 9
    assert figures["modules, relik_index"].value == 1
    assert (figures["largest folder"].value, figures["largest folder"].note) == (7, "relik")


def test_one_importer_counts_wherever_it_imports(figures: dict[str, Any]) -> None:
    # circle has two importers, names has two, back one in a function, config one for types.
    single = figures["modules with one importer"]
    assert single.names == ("relik.back", "relik.config", "relik.parts.names")
    assert single.value == 3


def test_a_command_has_its_importer_outside(tree: Path) -> None:
    (tree / "relik" / "config.py").unlink()  # leaves __main__ alone to import the command
    modules = COUNTS["read_modules"](tree)
    edges = COUNTS["import_edges"](modules)
    commands = {"project": {"scripts": {"relik": "relik.cli:main"}}}
    for project, expected in ((commands, False), ({}, True)):
        single = COUNTS["count_importers"](modules, edges, project)["modules with one importer"]
        assert ("relik.cli" in single.names) is expected


def test_a_circle_may_close_in_a_function_but_not_for_types(figures: dict[str, Any]) -> None:
    assert figures["import circles"].names == ("relik.back relik.circle",)
    assert figures["import circles"].note == "sizes 2"
    assert figures["import circles at module level"].value == 0


def test_an_init_imports_what_it_names_for_import_module(tree: Path) -> None:
    lazy = 'def __getattr__(name):\n    return import_module("relik.back")\n'
    (tree / "relik" / "parts" / "__init__.py").write_text(lazy, encoding="utf-8")
    edges = COUNTS["import_edges"](COUNTS["read_modules"](tree))
    assert edges["relik.parts"] == {"relik.back": {"function"}}


def test_relative_imports_are_followed(tree: Path) -> None:
    relative = "from . import circle\nfrom .parts import names\nfrom .parts.names import Names\n"
    (tree / "relik" / "back.py").write_text(relative, encoding="utf-8")
    edges = COUNTS["import_edges"](COUNTS["read_modules"](tree))
    assert edges["relik.back"] == {"relik.circle": {"module"}, "relik.parts.names": {"module"}}


def test_exceptions_between_our_own_packages_are_told_apart(figures: dict[str, Any]) -> None:
    assert figures["ignored imports"].value == 3
    assert figures["ignored imports, own"].names == ("relik.circle -> relik.back",)


def test_names_are_duplicates_within_one_package(figures: dict[str, Any]) -> None:
    assert figures["duplicate names"].names == ("relik/names.py relik/parts/names.py",)
    assert figures["files cli where a package has several"].value == 0


def test_lines_of_docstrings_and_comments_are_not_code(tree: Path) -> None:
    modules = COUNTS["read_modules"](tree)
    names = modules["relik.parts.names"]
    documented = COUNTS["docstring_lines"](names.tree)
    assert documented == {1, 2, 3, 4, 10, 14}
    assert COUNTS["code_lines"](names.source, documented) == {6, 8, 9, 13, 17, 20, 21, 22}
    lines = COUNTS["count_lines"]({"relik.parts.names": names})
    assert lines["lines of code, relik"].value == lines["lines of code, all"].value == 8
    assert lines["docstrings to code, relik"].value == 0.75
    assert lines["lines of code, relik_serve"].value == 0


def test_a_protocol_has_protocol_among_its_bases(figures: dict[str, Any]) -> None:
    assert figures["Protocols"].names == ("relik.parts.names.Names", "relik.parts.names.Rows")


def test_settings_are_the_leaves_and_documents_name_them(figures: dict[str, Any]) -> None:
    assert figures["settings"].names == ("size", "reader.threshold", "reader.unnamed_weight")
    assert figures["settings undocumented"].names == ("reader.unnamed_weight",)


def test_calls_are_counted_inside_reading_alone(figures: dict[str, Any]) -> None:
    # Reader.read and part twice; around it Pipeline.read and part once.
    assert figures["calls in reader.read"].value == 3
    assert figures["functions called in reader.read"].value == 2
    assert figures["calls in Pipeline.read"].value == 5
    assert figures["functions called in Pipeline.read"].value == 3


def test_what_cannot_be_counted_is_said(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "relik" / "config.py").unlink()
    assert COUNTS["count_settings"](tree) == {}
    assert "got no settings: ModuleNotFoundError" in capsys.readouterr().err


def test_tests_and_asserts_are_counted(figures: dict[str, Any]) -> None:
    counted = [figures[key].value for key in ("test functions", "asserts", "lines of tests")]
    assert counted == [1, 2, 6]


def test_two_checkouts_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    figure = COUNTS["Figure"]
    before = {"modules": figure(value=1200), "only before": figure(value=1)}
    after = {"modules": figure(value=1000, note="relik"), "ratio": figure(value=0.5)}
    COUNTS["print_table"](before, after)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[:4] == [
        ["before", "after", "change"],
        ["modules", "1,200", "1,000", "-200", "-", "->", "relik"],
        ["ratio", "-", "0.5", "-"],
        ["only", "before", "1", "-", "-"],
    ]


def test_json_has_both_checkouts_and_how_it_is_counted(tree: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tree), "--compare", str(tree), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert answer["before"] == answer["after"]
    assert answer["after"]["modules"] == {"value": 9, "note": "", "names": []}
    assert "strongly connected" in answer["how"]


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "expected a checkout" in done.stderr
