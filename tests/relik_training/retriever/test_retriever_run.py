"""A recipe with every option of the retriever makes a base bundle that can be measured."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

pytest.importorskip("lightning")
pytest.importorskip("onnx")

from relik.bundle import open_bundle
from relik.cli import main
from relik.errors import ConfigError
from relik.kb import KnowledgeBase
from relik_training.cli import app
from relik_training.recipes.recipe import read_retriever_recipe
from relik_training.retriever.retriever_run import RetrieverRun

if TYPE_CHECKING:
    from tests.relik_training.conftest import World

TABLES = """
[mining]
negatives = 2
every = 3
records = 8

[index]
dim = 8

[augmentation]
shorten = 0.5
teams = 2

[fusion.factors]
prior_weight = 0.5
"""


def _train(recipe: Path, out: Path) -> dict[str, object]:
    result = CliRunner().invoke(
        app,
        ["retriever", "--config", str(recipe), "--out", str(out), "--json"],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def _recall(
    capsys: pytest.CaptureFixture[str], gold: Path, bundle: Path, *options: str
) -> dict[str, float]:
    with pytest.raises(SystemExit) as left:
        main(["evaluate", "retrieval", str(gold), "--bundle", str(bundle), "--json", *options])
    assert left.value.code in (0, None)
    found: dict[str, float] = json.loads(capsys.readouterr().out)["recall_at"]
    return found


def test_every_option_together_makes_a_base_that_can_be_measured(
    world: "World", capsys: pytest.CaptureFixture[str]
) -> None:
    first = world.root / "first"
    _train(world.retriever_recipe(matryoshka=[8, 16], chunk=3), first)
    recipe = world.retriever_recipe(
        start=str(first / "bundle" / "query_encoder"),
        matryoshka=[8, 16],
        chunk=3,
        alias_rate=0.5,
        spare_named=True,
        hidden_dropout=0.1,
    )
    recipe.write_text(recipe.read_text() + TABLES)
    made = _train(recipe, world.root / "second")
    bundle = open_bundle(str(made["bundle"]))
    assert open_bundle(first / "bundle").dim == 32
    assert bundle.dim == bundle.encoder("onnx").dim == 8
    assert KnowledgeBase.open(bundle.path / "entities").dim == 8
    recorded = bundle.manifest.value("recipe", dict)["retriever"]
    assert recorded["mining"]["negatives"] == 2
    gold = world.data / "train.jsonl"
    both = _recall(capsys, gold, bundle.path)
    dense = _recall(capsys, gold, bundle.path, "--dense-only")
    # Names decide in this world, and the encoder has hardly been trained.
    assert both["5"] > dense["5"]


def test_a_base_does_not_link(world: "World", capsys: pytest.CaptureFixture[str]) -> None:
    _train(world.retriever_recipe(), world.root / "run")
    bundle = world.root / "run" / "bundle"
    for command in (["entities"], ["entities", "--given-mentions"], ["triples"]):
        with pytest.raises(SystemExit) as left:
            main(["evaluate", *command, str(world.data / "dev.jsonl"), "--bundle", str(bundle)])
        assert left.value.code == 2
        assert "without a reader" in capsys.readouterr().err


@pytest.mark.parametrize("tables", ["matryoshka = [33]", "[index]\ndim = 40"])
def test_a_length_that_no_vector_has_is_refused(world: "World", tables: str) -> None:
    path = world.retriever_recipe()
    text = path.read_text()
    path.write_text(f"{tables}\n{text}" if tables.startswith("m") else f"{text}\n{tables}\n")
    with pytest.raises(ConfigError, match="expected 1 to 32"):
        RetrieverRun(config=read_retriever_recipe(path)).open()
