"""Runs of a closed schema on a tiny backbone: they end with bundles that annotate and serve."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relik.bundle import open_bundle
from relik.cli import main
from relik.errors import ConfigError
from relik.layout import LAYOUT
from relik.types import AnnotateOptions, Document

pytest.importorskip("lightning")
pytest.importorskip("transformers")
pytest.importorskip("onnx")

from relik_training.distill.distill_settings import ReaderDistillation
from relik_training.reader.reader_data import ReaderData
from relik_training.recipes.schema_settings import SchemaTraining, read_schema_recipe
from relik_training.run.lora import LoraSettings
from relik_training.run.trainer import train
from relik_training.schema.schema_data import write_splits
from relik_training.schema.schema_run import SchemaRun
from relik_training.schema.schema_seeds import SUMMARY, train_seeds
from tests.relik_training.conftest import World
from tests.relik_training.test_schema import _recipe, _row, _write

_KINDS = ("weight", "bias")


@pytest.fixture
def recipe(world: World) -> Path:
    _write(world, [_row(number) for number in range(16)])
    return _recipe(world)


@pytest.fixture
def config(recipe: Path) -> SchemaTraining:
    return read_schema_recipe(recipe)


def _weights(folder: Path) -> bytes:
    return (folder / LAYOUT.weights).read_bytes()


def test_a_run_ends_with_a_bundle_that_annotates(config: SchemaTraining) -> None:
    report = train_seeds(config, 1)
    bundle = open_bundle(str(report["bundle"]))
    assert (bundle.dim, bundle.config.model) == (None, "tiny-schema")
    assert (bundle.config.retriever.entity_top_k, bundle.config.retriever.relation_top_k) == (2, 2)
    metrics = bundle.manifest.fields["metrics"]
    assert isinstance(metrics, dict)
    assert set(metrics) == {"calibration", "dev", "test"}
    assert set(metrics["test"]) == {"triples", "boundaries", "entities"}
    assert bundle.manifest.fields["licences"] == ["CC0-1.0"]
    document = Document(doc_id="a", text="Ada was born in Rome and later lived in Oslo .")
    options = AnnotateOptions(threshold=0.0, relation_threshold=0.0, nil=True)
    (found,) = bundle.pipeline("onnx").annotate([document], options=options)
    assert found.spans
    assert {s.entity_id for s in found.spans} <= {"Peop", "Loc", None}
    assert {t.relation_id for t in found.triples} <= {"Live_In", "Born_In"}


def test_seeds_are_summed_up_and_not_trained_again(config: SchemaTraining) -> None:
    summary = train_seeds(config, 2)
    runs = [Path(config.out) / f"seed-{seed}" for seed in (3, 4)]
    assert summary["bundles"] == [str(run / "bundle") for run in runs]
    assert _weights(runs[0]) != _weights(runs[1])
    assert json.loads((Path(config.out) / SUMMARY).read_text()) == summary
    test = summary["test"]
    assert isinstance(test, dict)
    assert set(test["triples"]["f1"]) == {"mean", "std"}
    changed = [(run / LAYOUT.weights).stat().st_mtime_ns for run in runs]
    assert train_seeds(config, 2) == summary
    assert [(run / LAYOUT.weights).stat().st_mtime_ns for run in runs] == changed


def test_a_folder_of_other_settings_is_refused(config: SchemaTraining) -> None:
    train_seeds(config, 1)
    with pytest.raises(ConfigError, match="batch_size = 2, got 4"):
        train_seeds(replace(config, batch_size=4), 1)


def test_with_dev_takes_the_thresholds_of_the_first_run_without(config: SchemaTraining) -> None:
    report = train_seeds(replace(config, with_dev=True), 2)
    first = open_bundle(Path(config.out) / "seed-3" / "bundle")
    bundles = [open_bundle(str(each)) for each in report["bundles"]]
    assert [each.path.parent.name for each in bundles] == ["seed-3-with-dev", "seed-4-with-dev"]
    assert all(each.config == first.config for each in bundles)
    assert not (Path(config.out) / "seed-4").exists()
    assert "dev" not in report
    weights = [_weights(each.path.parent) for each in (first, *bundles)]
    assert weights[0] not in weights[1:]
    assert weights[1] != weights[2]


def test_frozen_layers_stay_as_they_start(config: SchemaTraining, world: World) -> None:
    from safetensors.numpy import load_file

    first = Path(str(train_seeds(config, 1)["bundle"])).parent
    later = replace(config, start=str(first), out=str(world.root / "frozen"), frozen_layers=1)
    later = replace(later, wrong_spans=4, wrong_pairs=0.25)
    second = Path(str(train_seeds(later, 1)["bundle"])).parent
    one, two = load_file(first / LAYOUT.weights), load_file(second / LAYOUT.weights)
    same = {name for name in one if np.array_equal(one[name], two[name])}
    assert {name for name in one if name.startswith("backbone.encoder.layer.0.")} <= same
    assert "markers" in same
    assert not any(name.startswith("re_projector") for name in same)


def test_a_run_can_begin_with_the_reader_of_another(config: SchemaTraining, world: World) -> None:
    first = Path(str(train_seeds(config, 1)["bundle"]))
    # Without a step the weights are those that it began with, for a run and for a bundle.
    for number, start in enumerate((first.parent, first)):
        out = str(world.root / f"later-{number}")
        later = replace(config, start=str(start), out=out, learning_rate=0.0)
        still = replace(later, head_learning_rate=0.0, max_steps=1, warmup_steps=0)
        train_seeds(still, 1)
        run = Path(out) / "seed-3"
        assert (run / "config.json").read_bytes() == (first.parent / "config.json").read_bytes()
        _assert_close(run, first.parent, tolerance=0.0 if number == 0 else 0.05)


def test_relations_that_read_the_words_between_go_through_a_whole_run(
    config: SchemaTraining, world: World
) -> None:
    from safetensors.numpy import load_file

    plain = Path(str(train_seeds(config, 1)["bundle"])).parent
    # A reader without that head can be begun with: the head is new.
    later = replace(config, start=str(plain), out=str(world.root / "later"), between=True)
    bundle = Path(str(train_seeds(later, 1)["bundle"]))
    new = set(load_file(bundle.parent / LAYOUT.weights)) - set(load_file(plain / LAYOUT.weights))
    assert new == {f"re_between.{n}.{kind}" for n in ("dense", "LayerNorm") for kind in _KINDS}
    document = Document(doc_id="a", text="Ada was born in Rome and later lived in Oslo .")
    options = AnnotateOptions(threshold=0.0, relation_threshold=0.0)
    opened = open_bundle(bundle)
    found = [opened.pipeline(b).annotate([document], options=options)[0] for b in ("onnx", "torch")]
    assert found[0].triples
    scores = [
        {(t.subject, t.relation_id, t.object): t.score for t in each.triples} for each in found
    ]
    assert scores[0].keys() == scores[1].keys()
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    without = replace(later, start=str(bundle.parent), out=str(world.root / "no"), between=False)
    with pytest.raises(ConfigError, match=r"re_between.*linears_hidden_size and between"):
        train_seeds(without, 1)


def test_a_stopped_run_with_frozen_layers_ends_with_the_same_weights(
    config: SchemaTraining, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = write_splits(config)
    settings = replace(config, frozen_layers=1, wrong_spans=4, wrong_pairs=0.25, average=0.9)
    whole, stopped = (replace(settings, out=str(world.root / n)) for n in ("whole", "stopped"))
    expected = _weights(train(SchemaRun(config=whole, splits=splits)))
    batch = ReaderData.batch

    def stopping(data: ReaderData, chosen: Any, step: int) -> Any:
        if step == config.checkpoint_steps + 1:
            raise KeyboardInterrupt
        return batch(data, chosen, step)

    with monkeypatch.context() as patched:
        patched.setattr(ReaderData, "batch", stopping)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            train(SchemaRun(config=stopped, splits=splits))
    assert not (Path(stopped.out) / LAYOUT.weights).exists()
    # What the first part remembered of its texts is gone, and is made again beside others.
    assert _weights(train(SchemaRun(config=stopped, splits=splits))) == expected


def _assert_close(run: Path, other: Path, *, tolerance: float) -> None:
    from safetensors.numpy import load_file

    one, two = load_file(run / LAYOUT.weights), load_file(other / LAYOUT.weights)
    assert one.keys() == two.keys()
    for name, value in one.items():
        if "word_embeddings" not in name:
            assert abs(value - two[name]).max() <= tolerance * max(1.0, abs(value).max()), name


def test_swaps_wrong_spans_and_averages_go_through_a_whole_run(config: SchemaTraining) -> None:
    changed = replace(config, swaps=1, wrong_spans=4, average=0.5, last_rate=0.5, half_f1=True)
    report = train_seeds(changed, 1)
    bundle = open_bundle(str(report["bundle"]))
    spans = report["calibration"]["spans"]
    assert spans["threshold"] == bundle.config.reader.threshold
    assert bundle.config.reader.drop_nil
    document = Document(doc_id="a", text="Ada was born in Rome and later lived in Oslo .")
    options = AnnotateOptions(threshold=0.0, relation_threshold=0.0, nil=True)
    (found,) = bundle.pipeline("onnx").annotate([document], options=options)
    assert {s.entity_id for s in found.spans} <= {"Peop", "Loc"}


@pytest.mark.parametrize("of_run", [True, False])
def test_a_large_reader_teaches_a_small_one(
    config: SchemaTraining, world: World, mpnet_backbone: Path, *, of_run: bool
) -> None:
    pytest.importorskip("peft")
    large = replace(
        config,
        backbone=str(mpnet_backbone),
        lora=LoraSettings(rank=2),
        out=str(world.root / "large"),
    )
    bundle = Path(str(train_seeds(large, 1)["bundle"]))
    teacher = ReaderDistillation(teacher=str(bundle.parent if of_run else bundle), hidden=0.5)
    taught = replace(config, distillation=teacher, average=0.5, out=str(world.root / "taught"))
    alone = replace(taught, distillation=ReaderDistillation(), out=str(world.root / "alone"))
    runs = [Path(str(train_seeds(each, 1)["bundle"])).parent for each in (taught, alone)]
    last = [json.loads((run / "metrics.jsonl").read_text().splitlines()[-1]) for run in runs]
    assert {"taught_start", "taught_link"} <= last[0].keys() - last[1].keys()
    assert _weights(runs[0]) != _weights(runs[1])


def test_a_start_of_other_heads_is_refused(config: SchemaTraining, world: World) -> None:
    start = str(Path(str(train_seeds(config, 1)["bundle"])).parent)
    other = replace(config, start=start, out=str(world.root / "other"), linears_hidden_size=8)
    with pytest.raises(ConfigError, match="same backbone, linears_hidden_size"):
        train_seeds(other, 1)
    with pytest.raises(ConfigError, match="has no reader"):
        train_seeds(replace(other, start=str(world.root)), 1)


def test_a_text_that_does_not_fit_is_refused(config: SchemaTraining) -> None:
    with pytest.raises(ConfigError, match="more than 5 tokens"):
        train_seeds(replace(config, max_tokens=10), 1)


def _ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    assert ended.value.code == 0
    return dict(json.loads(capsys.readouterr().out))


def test_the_command_prints_what_evaluating_its_bundle_finds(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = _ran(capsys, "train", "schema", "--config", str(recipe), "--seed", "8")
    bundle = Path(report["bundle"])
    assert bundle.parent.name == "seed-8"
    gold = str(bundle.parents[1] / "test.jsonl.gz")
    asked = ("--bundle", str(bundle), "--strict", "--backend", "onnx")
    figures = _ran(capsys, "evaluate", "triples", gold, *asked)
    assert {name: figures[name] for name in report["test"]} == report["test"]
