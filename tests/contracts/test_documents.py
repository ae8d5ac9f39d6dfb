"""What the documents promise is what the tree has."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
import typer

import relik
from relik_serve.api.schemas import AnnotateRequest, DocumentIn
from relik_serve.problems import CLIENT_LEFT, STATUSES
from relik_serve.settings import Settings
from relik_training.cli import app as train

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
]
TEST_COMMAND = "pip install '.[test]' && pytest"


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert f"\n{TEST_COMMAND}\n" in README
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    steps = [line for line in ci if line in TEST_COMMAND.split(" && ")]
    assert steps == TEST_COMMAND.split(" && ")


def _written(page: Path) -> str:
    """Return a page without its blocks of code, whose lines may look like links or headings."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def _anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    return {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", _written(page), flags=re.M)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", _written(page)):
        led = page.parent / target if target else page
        assert led.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in _anchors(led), f"{page.name} links to {target}#{anchor}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", _written(page))
    }
    assert not [page.name for page in (ROOT / "docs").glob("*.md") if page not in linked]


def test_each_file_that_the_architecture_names_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w.-]+/)+(?:[\w.-]+)?|\.?[\w-]+\.(?:md|toml))`", page))
    steps = {name for name in named if name.endswith(".py")}
    assert len(steps) > 40
    inside = {"pipeline.toml", "retriever/", "schema/", "relations/"}
    assert not [name for name in named - inside if not (ROOT / name).exists()]


def test_the_python_in_the_readme_compiles_and_imports_public_names() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")
        for names in re.findall(r"^from relik import (.+)$", block, flags=re.MULTILINE):
            assert set(names.split(", ")) <= set(relik.__all__)


def test_the_changelog_has_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{relik.__version__}]" in changelog


def test_operations_has_every_setting_of_the_server_with_its_default() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `RELIK_(\w+)` \| (?:`--[\w-]+`)? ?\| (?:`(.*?)`)? ?\|", page, flags=re.M
    )
    defaults = {name.lower(): default for name, default in rows}
    shown = {
        field.name: f"{field.default:g}" if isinstance(field.default, float) else field.default
        for field in dataclasses.fields(Settings)
    }
    assert defaults == {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in shown.items()
    }


def test_the_page_of_the_api_has_every_field_and_every_status() -> None:
    page = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
    named = {
        name
        for cell in re.findall(r"^\| (`.*?) \|", page, flags=re.M)
        for name in re.findall(r"`(?:documents\[\]\.)?(\w+)`", cell)
    }
    assert named >= (set(AnnotateRequest.model_fields) | set(DocumentIn.model_fields)) - {
        "documents"
    }
    rows = {int(status) for status in re.findall(r"^\| (\d{3}) \|", page, flags=re.M)}
    assert rows == {*STATUSES, CLIENT_LEFT}


def test_the_answers_on_the_page_of_the_api_are_json() -> None:
    page = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```json\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) > 5
    for block in blocks:
        json.loads(block)


def test_the_reference_of_training_has_every_command_and_every_recipe() -> None:
    page = (ROOT / "docs" / "training-reference.md").read_text(encoding="utf-8")
    commands = getattr(typer.main.get_command(train), "commands", {})
    assert commands
    assert not [name for name in commands if f"`relik train {name}`" not in page]
    named = re.findall(r"`([\w-]+\.toml|-\d)`", page)
    stems = {name.removesuffix(".toml") for name in named}
    stems |= {f"default-{kind}{name}" for kind in ("reader", "retriever") for name in named}
    recipes = (ROOT / "training" / "recipes").glob("*.toml")
    assert {recipe.stem for recipe in recipes} <= stems
