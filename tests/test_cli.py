import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from relik import __version__
from relik.cli import main

PLUGIN = '''
import sys
import typer
from relik import errors

app = typer.Typer()

@app.command()
def fail(name: str) -> None:
    raise getattr(errors, name)("got this\\nexpected that")

@app.command()
def interrupt() -> None:
    raise KeyboardInterrupt

@app.command()
def flood() -> None:
    for _ in range(100_000):
        sys.stdout.write("a line of output that nobody reads\\n")

def late() -> None:
    """Import late."""
    raise ModuleNotFoundError("No module named 'torch'", name="torch")
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install a distribution with commands of its own, one of which misses an extra."""
    (tmp_path / "plugin_of_test.py").write_text(PLUGIN)
    (tmp_path / "broken_of_test.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch.nn')\n"
    )
    about = tmp_path / "plugin_of_test-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-of-test\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[relik.commands]\nplugin = plugin_of_test:app\nlate = plugin_of_test:late\n"
        "broken = broken_of_test:app\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("plugin_of_test", None)
    sys.modules.pop("broken_of_test", None)


def left_with(*argv: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(argv)
    code = left.value.code
    return code if isinstance(code, int) else 0


def start(plugin: Path, *argv: str) -> "subprocess.Popen[bytes]":
    call = "import sys; sys.path.insert(0, sys.argv.pop(1)); from relik.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", call, str(plugin), *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert left_with("--version") == 0
    assert capsys.readouterr().out == f"relik {__version__}\n"


@pytest.mark.parametrize("program", [["-m", "relik"], ["-c", "import relik.__main__"]])
def test_the_package_runs_as_a_program_and_only_then(program: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *program, "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == (f"relik {__version__}\n" if "-m" in program else "")


def test_help_names_every_command_and_imports_none(
    plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with("--help") == 0
    shown = capsys.readouterr().out
    for name in ("annotate", "evaluate", "index", "serve", "train", "plugin", "broken"):
        assert name in shown
    assert "plugin_of_test" not in sys.modules


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ConfigError", 2),
        ("InputError", 2),
        ("TextTooLongError", 2),
        ("BundleError", 3),
        ("BundleCorruptError", 3),
        ("DimensionMismatchError", 3),
        ("InferenceError", 1),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(
    plugin: Path, capsys: pytest.CaptureFixture[str], name: str, code: int
) -> None:
    assert left_with("plugin", "fail", name) == code
    assert capsys.readouterr().err == "relik: error: got this expected that\n"


@pytest.mark.parametrize("argv", [["broken"], ["broken", "--help"], ["broken", "x", "--y", "2"]])
def test_a_command_whose_extra_is_missing_says_what_to_install(
    plugin: Path, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    assert left_with(*argv) == 1
    assert "pip install 'relik-server[gpu]'" in capsys.readouterr().err


def test_a_package_missed_only_when_the_command_runs_is_named_too(
    plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with("late") == 1
    assert "relik late needs the package torch" in capsys.readouterr().err


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert left_with("annotat") == 2
    assert "annotat" in capsys.readouterr().err


def test_an_interrupted_command_leaves_with_130(plugin: Path) -> None:
    with start(plugin, "plugin", "interrupt") as process:
        assert process.wait(timeout=60) == 130


def test_a_reader_that_leaves_early_is_no_error(plugin: Path) -> None:
    with start(plugin, "plugin", "flood") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        process.wait(timeout=60)
        assert process.stderr.read() == b""
