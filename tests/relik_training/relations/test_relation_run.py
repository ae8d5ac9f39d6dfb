"""Runs of an encoder of relations on a tiny backbone: they end with bundles that relate."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("transformers")
pytest.importorskip("onnx")

from relik.bundle import open_bundle
from relik.cli import main
from relik.errors import ConfigError
from relik.evaluation import read_gold
from relik.layout import LAYOUT
from relik.types import Document, MentionPair, Span
from relik_training.data.json_lines import read_jsonl
from relik_training.recipes.evaluation_settings import Evaluation
from relik_training.recipes.recipe_files import Overrides
from relik_training.recipes.relation_settings import (
    RelationTraining,
    read_relation_recipe,
)
from relik_training.relations.relation_bundle import RELATIONS, TEXTS
from relik_training.relations.relation_run import RelationRun
from relik_training.relations.unseen import draw_unseen
from relik_training.run.run_clock import read_rows
from relik_training.run.trainer import train
from tests.relik_training.conftest import World

RECIPE = """
backbone = "BACKBONE"
data = "DATA"
relations = "relations.jsonl"
out = "OUT"
model = "tiny-relations"
batch_size = 2
max_steps = 4
warmup_steps = 1
checkpoint_steps = 2
precision = "32-true"

[unseen]
source = "train.jsonl"
count = 1

[sampling]
max_tokens = 40

[[sources]]
path = "train.jsonl"
mentions = "all"
relations = "all"

[[provenance]]
name = "A small world"
licence = "CC0-1.0"
used_for = "tests"
"""


@pytest.fixture
def recipe(world: World) -> Path:
    # A third relation, so that there is one to be told from the other in training.
    rows = list(read_jsonl(world.data / "train.jsonl"))
    for row in rows[::3]:
        row["triples"] = [[1, "P20", 0]]
    (world.data / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with (world.data / "relations.jsonl").open("a") as file:
        file.write(json.dumps({"id": "P20", "name": "city", "aliases": ["capital"]}) + "\n")
    path = world.root / "relations.toml"
    text = RECIPE.replace("BACKBONE", str(world.backbone)).replace("DATA", str(world.data))
    path.write_text(text.replace("OUT", str(world.root / "runs")))
    return path


@pytest.fixture
def config(recipe: Path) -> RelationTraining:
    return read_relation_recipe(recipe)


def _ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    assert ended.value.code == 0
    return dict(json.loads(capsys.readouterr().out))


def test_nothing_that_a_run_trains_on_states_what_is_left_out(config: RelationTraining) -> None:
    left_out = draw_unseen(config.unseen, Path(config.data))
    pairs = RelationRun(config=config).open().examples
    told = {relation for pair in pairs for relation in (pair.relation, *pair.others)}
    assert told
    assert not told & left_out.all
    measured = {row["text"] for row in read_jsonl(Path(config.out) / TEXTS)}
    assert not [pair for pair in pairs if pair.text.split(" . ", 1)[1] in measured]


def test_all_texts_of_what_is_left_out_are_measured(config: RelationTraining) -> None:
    RelationRun(config=config).open()
    left_out = draw_unseen(config.unseen, Path(config.data))
    found = list(read_jsonl(Path(config.out) / TEXTS))
    everything = list(read_jsonl(Path(config.data) / "train.jsonl"))
    assert found == [row for row in everything if row["triples"][0][1] in left_out.all]
    (record,) = read_jsonl(Path(config.out) / RELATIONS)
    assert record["id"] == left_out.unseen[0]


def test_a_run_ends_with_a_bundle_that_evaluating_finds_as_good(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = _ran(capsys, "train", "relations", "--config", str(recipe), "--draw", "4")
    bundle = open_bundle(report["bundle"])
    assert bundle.path.parent.name == "draw-4"
    assert (bundle.dim, bundle.config.model) == (32, "tiny-relations")
    fields = bundle.manifest.fields
    assert fields["licences"] == ["CC0-1.0"]
    assert fields["unseen"] == report["candidates"]
    texts = str(bundle.path.parent / TEXTS)
    asked = ("--bundle", str(bundle.path))
    figures = _ran(capsys, "evaluate", "relations", texts, *asked)
    for name in ("relations", "candidates"):
        assert figures[name] == report[name]
    assert figures["documents"] == len(read_gold(Path(texts)))


def test_a_bundle_relates_by_relations_of_another_index(
    config: RelationTraining, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    train(RelationRun(config=config))
    bundle = str(RelationRun(config=config).end()["bundle"])
    index = str(world.root / "index")
    source = str(world.data / "relations.jsonl")
    _ran(capsys, "index", "build", source, index, "--bundle", bundle)
    asked = ("--bundle", bundle, "--relation-kb", index)
    gold = str(world.data / "train.jsonl")
    figures = _ran(capsys, "evaluate", "relations", gold, *asked)
    assert figures["candidates"] == ["P19", "P20", "P7"]
    assert figures["documents"] == 30
    two = _ran(capsys, "evaluate", "relations", gold, *asked, "--candidates", "P7,P20")
    assert two["candidates"] == ["P20", "P7"]
    assert two["documents"] < 30
    document = Document(doc_id="a", text="Ada was born in Rome")
    relater = open_bundle(bundle).relater(relations=Path(index))
    pair = MentionPair(subject=Span(0, 3), object=Span(16, 20))
    (((first, second),),) = relater.relate([document], [[pair]], relations=["P7", "P19"])
    assert {first.entity_id, second.entity_id} == {"P7", "P19"}
    assert first.score >= second.score
    assert first.score + second.score == pytest.approx(1.0)


def test_what_is_kept_apart_is_measured_in_place_of_the_unseen(recipe: Path) -> None:
    said = Overrides(apart=1)
    config = read_relation_recipe(recipe, said)
    left_out = draw_unseen(config.unseen, Path(config.data))
    train(RelationRun(config=config))
    report = RelationRun(config=config).end()
    assert report["candidates"] == list(left_out.apart)
    assert not set(left_out.unseen) & set(left_out.apart)


def test_a_run_that_is_given_again_goes_on_from_its_weights(config: RelationTraining) -> None:
    run = train(RelationRun(config=config))
    weights = (run / LAYOUT.weights).read_bytes()
    assert (train(RelationRun(config=config)) / LAYOUT.weights).read_bytes() == weights


def test_a_share_of_the_pairs_is_kept_apart_and_measured(config: RelationTraining) -> None:
    config = replace(config, max_steps=10, evaluation=Evaluation(share=0.3))
    apart = RelationRun(config=config).open()
    whole = RelationRun(config=replace(config, evaluation=Evaluation())).open()
    assert 0 < len(apart.examples) < len(whole.examples)
    assert whole.evaluation() is None
    rows = read_rows(train(RelationRun(config=config)) / "metrics.jsonl")
    assert [row["step"] for row in rows if 0.0 <= row.get("dev_f1", -1.0) <= 1.0] == [9]


def test_a_plan_of_a_run_is_held_against_it(
    recipe: Path, config: RelationTraining, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = _ran(capsys, "train", "plan", "--config", str(recipe))
    assert [path.name for path in Path(config.out).iterdir()] == ["plan.json"]
    metrics = _ran(capsys, "train", "relations", "--config", str(recipe))["metrics"]
    assert metrics["plan"] == {name: planned[name] for name in metrics["plan"]}
    assert abs(metrics["plan_error"]["disk_bytes"]) < 0.1


def test_a_relation_without_a_record_is_refused(config: RelationTraining) -> None:
    path = Path(config.data) / "relations.jsonl"
    path.write_text(json.dumps({"id": "P99", "name": "other"}) + "\n")
    with pytest.raises(ConfigError, match="has no relation"):
        RelationRun(config=config).open()
