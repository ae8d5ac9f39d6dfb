"""Rules of CONTRIBUTING.md that a linter does not check, read off the sources."""

import ast
import importlib.metadata
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import relik
from relik import errors

ROOT = Path(__file__).parents[2]
PACKAGES = ("relik", "index/relik_index", "serve/relik_serve", "training/relik_training")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in SOURCES]
TREES = {
    name: ast.parse(path.read_text(encoding="utf-8"))
    for name, path in zip(NAMES, SOURCES, strict=True)
}

MAX_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_MODULES = 15
# A family of one shape: a module for each format of annotated text.
FAMILIES = ("training/relik_training/formats",)
# What every package may have, by the name that Python or a reader expects.
SHARED_NAMES = ("__init__.py", "__main__.py", "cli.py")
# Commands write to the terminal; nothing else does.
PRINTERS = re.compile(r"(^|/)(cli|commands)(/|\.py$)")
# All but the first hand libraries a setting that these take from nowhere else.
ENVIRONMENT_READERS = (
    "serve/relik_serve/settings.py",
    "training/relik_training/run/large_pages.py",
    "training/relik_training/data/candidates.py",
)
HEAVY = ("faiss", "fastapi", "onnxruntime", "pyarrow", "torch", "transformers")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _calls(name: str) -> Iterator[str]:
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def _imports(name: str) -> Iterator[str]:
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _public(body: list[ast.stmt]) -> Iterator[Definition]:
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body)


@pytest.mark.parametrize("name", NAMES)
def test_a_module_says_what_it_does_and_stays_short(name: str) -> None:
    lines = len((ROOT / name).read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES
    assert not lines or ast.get_docstring(TREES[name])


def test_no_two_modules_of_a_package_share_a_name() -> None:
    for package in PACKAGES:
        places: dict[str, list[str]] = {}
        for name in NAMES:
            base = name.rpartition("/")[2]
            if name.startswith(f"{package}/") and base not in SHARED_NAMES:
                places.setdefault(base, []).append(name)
        assert not [same for same in places.values() if len(same) > 1]


def test_no_folder_has_many_modules() -> None:
    modules = Counter(
        name.rpartition("/")[0] for name in NAMES if not name.endswith("/__init__.py")
    )
    assert set(FAMILIES) <= set(modules)
    large = {folder for folder, count in modules.items() if count > MAX_MODULES}
    assert large <= set(FAMILIES)


@pytest.mark.parametrize("name", NAMES)
def test_functions_stay_short(name: str) -> None:
    long = [
        f"{node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert not long


@pytest.mark.parametrize("name", NAMES)
def test_public_names_are_documented(name: str) -> None:
    bare = [node.name for node in _public(TREES[name].body) if not ast.get_docstring(node)]
    assert not bare


@pytest.mark.parametrize("name", NAMES)
def test_public_functions_take_no_open_keywords(name: str) -> None:
    public = _public(TREES[name].body)
    functions = [node for node in public if isinstance(node, ast.FunctionDef)]
    assert not [node.name for node in functions if node.args.kwarg]


@pytest.mark.parametrize("name", [name for name in NAMES if not PRINTERS.search(name)])
def test_only_commands_print(name: str) -> None:
    assert "print" not in set(_calls(name))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ENVIRONMENT_READERS])
def test_only_the_settings_read_the_environment(name: str) -> None:
    reads = {
        ast.unparse(node)
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb")
    }
    assert not {read for read in reads if read.startswith("os.")}
    assert not {"os.environ", "os.getenv"} & set(_imports(name))


@pytest.mark.parametrize("name", NAMES)
def test_data_never_names_code(name: str) -> None:
    called = set(_calls(name))
    assert not {"eval", "exec"} & called
    # A released checkpoint may hold tensors in torch's own format: read them, and nothing else.
    loads = [
        {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert not loads or name.startswith("relik/upstream/")
    assert all(keywords.get("weights_only") == "True" for keywords in loads)
    assert not {"pickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"} & {
        imported.partition(".")[0] for imported in _imports(name)
    }
    keywords = {node.arg for node in ast.walk(TREES[name]) if isinstance(node, ast.keyword)}
    assert "trust_remote_code" not in keywords


@pytest.mark.parametrize("name", NAMES)
def test_a_silenced_check_is_named_and_explained(name: str) -> None:
    source = (ROOT / name).read_text(encoding="utf-8")
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    silenced = [comment for comment in comments if re.search(r"type: ignore|noqa", comment)]
    explained = re.compile(r"# (type: ignore\[[\w, -]+\]|noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*)  # \S")
    assert not [comment for comment in silenced if not explained.match(comment)]
    assert not [comment for comment in comments if re.search(r"\b(TODO|FIXME|XXX)\b", comment)]


@pytest.mark.parametrize("folder", ["index", "serve", "training"])
def test_source_roots_are_not_packages(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()


def test_every_public_name_can_be_imported() -> None:
    assert relik.__all__ == sorted(set(relik.__all__))
    for name in relik.__all__:
        assert getattr(relik, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = relik.nothing


def test_importing_the_library_loads_nothing_heavy(tmp_path: Path) -> None:
    code = f"import relik, sys; print(*(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_the_error_tree_is_the_one_in_its_docstring() -> None:
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"[ │├└─]{4,}(?P<name>[A-Z]\w*Error)\b", line)
        if found:
            depth = (found.start("name") - 4) // 4
            above[depth:] = [found["name"]]
            drawn[found["name"]] = above[depth - 1] if depth else "Exception"
    real = {name: getattr(errors, name).__base__.__name__ for name in errors.__all__}
    assert drawn == real


def test_each_entry_point_leads_to_something() -> None:
    commands = importlib.metadata.entry_points(group="relik.commands")
    assert {"annotate", "evaluate", "index", "serve", "train"} <= {entry.name for entry in commands}
