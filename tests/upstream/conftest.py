"""Released pipelines with what upstream answered on them.

A reduced set lies in `tests/golden/upstream`; `RELIK_UPSTREAM_FIXTURES` names a folder with more.
"""

import gzip
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REDUCED = Path(__file__).parents[1] / "golden" / "upstream"
RULES = Path(__file__).parents[2] / "benchmarks" / "upstream_parity.py"
FULL = os.environ.get("RELIK_UPSTREAM_FIXTURES")


@dataclass(frozen=True)
class Released:
    """A pipeline and upstream's answers.

    Args:
        name: Its name.
        folder: The pipeline.
        cases: Calls with their answers or errors.
    """

    name: str
    folder: Path
    cases: list[dict[str, Any]]


def _folders() -> list[Path]:
    roots = [root for root in (Path(FULL) if FULL else None, REDUCED) if root]
    found = {}
    for root in reversed(roots):
        for config in sorted(root.glob("*/config.yaml")):
            if (root / "golden" / f"{config.parent.name}.json.gz").is_file():
                found[config.parent.name] = config.parent
    return [found[name] for name in sorted(found)]


def _open(folder: Path) -> Released:
    path = folder.parent / "golden" / f"{folder.name}.json.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return Released(folder.name, folder, json.load(stream)["cases"])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `released` once for each pipeline that is there."""
    if "released" in metafunc.fixturenames:
        folders = _folders()
        metafunc.parametrize(
            "released", folders, indirect=True, ids=[folder.name for folder in folders]
        )


@pytest.fixture(scope="session")
def released(request: pytest.FixtureRequest) -> Released:
    """One pipeline."""
    return _open(request.param)


@pytest.fixture(scope="session")
def parity() -> ModuleType:
    """The rules by which an answer is compared with upstream's, and the command that counts."""
    spec = spec_from_file_location(RULES.stem, RULES)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def pipelines() -> dict[str, Path]:
    """The folders of the pipelines that are there, by name."""
    return {folder.name: folder for folder in _folders()}


@pytest.fixture(scope="session")
def open_relik(pipelines: dict[str, Path]) -> Callable[..., Any]:
    """Opens a pipeline of a task, once for each way of opening it.

    The test is skipped where there is no such pipeline, or where torch or spaCy is missing.
    """
    opened: dict[tuple[str, bool], Any] = {}

    def open_one(task: str, *, quirks: bool = False) -> Any:
        for library in ("torch", "transformers", "spacy", "yaml"):
            pytest.importorskip(library)
        from relik.upstream.dropin.relik import Relik

        names = [name for name in pipelines if name.endswith(f"-{task}")]
        if not names:
            pytest.skip(f"there is no released pipeline of {task}")
        if (names[0], quirks) not in opened:
            folder = pipelines[names[0]]
            opened[names[0], quirks] = Relik.from_pretrained(folder, quirks=quirks)
        return opened[names[0], quirks]

    return open_one
