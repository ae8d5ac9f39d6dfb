"""Two commands make a bundle from data sets and recipes; what is missing is named."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from relik.errors import ConfigError
from relik.manifest import read_manifest, verify_files
from relik_training.cli import app

if TYPE_CHECKING:
    from tests.relik_training.conftest import World

pytest.importorskip("lightning")


def _run(*arguments: object) -> dict[str, object]:
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_two_commands_make_a_bundle_that_annotates(world: "World") -> None:
    pytest.importorskip("onnx")
    from relik import Document, open_bundle

    base, run = world.root / "base", world.root / "run"
    made = _run("retriever", "--config", world.retriever_recipe(), "--out", base, "--json")
    assert made["bundle"] == str(base / "bundle")
    recipe = world.reader_recipe(base / "bundle")
    made = _run("reader", "--config", recipe, "--out", run, "--json")
    folder = Path(str(made["bundle"]))
    manifest = read_manifest(folder, kind="bundle")
    verify_files(folder, manifest)
    assert manifest.fields["model"] == "tiny"
    assert manifest.fields["licences"] == ["CC0-1.0"]
    training = manifest.value("training", dict)
    assert training["retriever"]["steps"] == training["reader"]["steps"] == 6
    assert str(world.root) not in json.dumps(manifest.value("recipe", dict)["reader"]["sources"])
    assert manifest.value("metrics", dict)["calibration"]["documents"] == 6
    annotation = open_bundle(folder).pipeline("onnx").annotate([Document(doc_id="", text="Ada")])
    assert annotation[0].coverage.characters == 3
    sealed = (folder / "reader" / "encode.onnx").read_bytes()
    again = _run("bundle", "--config", recipe, "--out", run, "--json")
    assert again == {key: made[key] for key in ("bundle", "calibration")}
    assert (folder / "reader" / "encode.onnx").read_bytes() == sealed


def test_knowledge_is_made_from_the_recipe_of_a_retriever(world: "World") -> None:
    out = world.root / "elsewhere"
    counts = _run("knowledge", "--config", world.retriever_recipe(), "--out", out, "--json")
    assert counts == {"knowledge": str(out), "entities": 12, "relations": 2}
    fewer = ("--set", "knowledge.max_entities=5", "--set", "knowledge.max_relations=1")
    recipe = world.retriever_recipe()
    counts = _run("knowledge", "--config", recipe, "--out", out, *fewer, "--json")
    assert counts == {"knowledge": str(out), "entities": 5, "relations": 1}


@pytest.mark.parametrize("command", ["knowledge", "retriever"])
def test_a_missing_data_set_is_named(world: "World", command: str) -> None:
    recipe = world.retriever_recipe()
    with pytest.raises(ConfigError, match=r"missing.*--data"):
        _run(command, "--config", recipe, "--data", world.root / "nowhere")


def test_a_missing_backbone_is_named(world: "World") -> None:
    for backbone in (str(world.root / "none"), "pip:no_such_package/model"):
        recipe = world.retriever_recipe(backbone=backbone, out=str(world.root / "run"))
        with pytest.raises(ConfigError, match=r"no_such_package|none"):
            _run("retriever", "--config", recipe)


def test_a_reader_without_its_base_is_refused(world: "World") -> None:
    with pytest.raises(ConfigError, match="train the retriever before the reader"):
        _run("reader", "--config", world.reader_recipe(world.root / "base"))


def test_a_run_does_not_go_on_with_other_settings(world: "World") -> None:
    from relik_training.recipes.recipe import read_retriever_recipe
    from relik_training.run.run_files import begin

    out = world.root / "run"
    begin(out, read_retriever_recipe(world.retriever_recipe()))
    (out / "checkpoints").mkdir()
    (out / "checkpoints" / "last.ckpt").touch()
    begin(out, read_retriever_recipe(world.retriever_recipe(checkpoint_steps=3)))
    with pytest.raises(ConfigError, match=r"learning_rate = 0\.001, got 0\.5"):
        begin(out, read_retriever_recipe(world.retriever_recipe(learning_rate=0.5)))


def test_the_bundle_of_no_run_is_refused(world: "World") -> None:
    with pytest.raises(ConfigError, match="give the folder of a run"):
        _run("bundle", "--config", world.reader_recipe(world.root), "--out", world.root / "run")


def test_an_unknown_setting_is_refused_with_the_nearest_name(world: "World") -> None:
    with pytest.raises(ConfigError, match="did you mean 'max_steps'"):
        _run("retriever", "--config", world.retriever_recipe(max_step=1))
