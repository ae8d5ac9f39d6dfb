"""Runs measure themselves on development texts, keep their best weights, and train as before."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("transformers")
pytest.importorskip("onnx")
pytest.importorskip("tensorboard")

from safetensors.torch import load_file  # noqa: E402 - needs torch

from relik.errors import ConfigError  # noqa: E402
from relik.toml_settings import from_mapping  # noqa: E402
from relik_training.reader.reader_run import ReaderRun  # noqa: E402
from relik_training.recipes.evaluation_settings import Evaluation  # noqa: E402
from relik_training.recipes.recipe import read_reader_recipe, read_retriever_recipe  # noqa: E402
from relik_training.recipes.schema_settings import SchemaTraining, read_schema_recipe  # noqa: E402
from relik_training.retriever.retriever_run import RetrieverRun  # noqa: E402
from relik_training.run.best_weights import BEST_DEV  # noqa: E402
from relik_training.run.run_clock import read_rows  # noqa: E402
from relik_training.run.run_files import read_figures  # noqa: E402
from relik_training.run.trainer import train  # noqa: E402
from relik_training.schema.schema_data import write_splits  # noqa: E402
from relik_training.schema.schema_run import SchemaRun  # noqa: E402
from tests.relik_training.test_schema import _recipe, _row, _write  # noqa: E402

if TYPE_CHECKING:
    from tests.relik_training.conftest import World


@pytest.fixture
def config(world: "World") -> SchemaTraining:
    _write(world, [_row(number) for number in range(16)])
    return read_schema_recipe(_recipe(world, max_steps=30, checkpoint_steps=10))


def _trained(config: SchemaTraining, name: str, **settings: Any) -> Path:
    changed = replace(config, out=str(Path(config.out) / name), **settings)
    return train(SchemaRun(config=changed, splits=write_splits(config)))


def _weights(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


def _measured(run: Path) -> list[tuple[int, float]]:
    rows = read_rows(run / "metrics.jsonl")
    return [(row["step"], row["dev_f1"]) for row in rows if "dev_f1" in row]


def test_measuring_is_logged_and_changes_no_weight(config: SchemaTraining) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = _trained(config, "measured", average=0.9)
    assert _weights(run) == _weights(
        _trained(config, "not", average=0.9, evaluation=Evaluation(windows=0))
    )
    assert [step for step, _ in _measured(run)] == [9, 19, 29]
    assert all(0.0 <= value <= 1.0 for _, value in _measured(run))
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    scalars = {event.step: event.value for event in events.Scalars("dev_f1")}
    assert scalars == pytest.approx(dict(_measured(run)))
    assert "dev_relation_f1" in events.Tags()["scalars"]
    assert not _measured(Path(config.out) / "not")


def test_steps_that_are_not_measured_repeat_no_figure(config: SchemaTraining) -> None:
    run = _trained(config, "measured", evaluation=Evaluation(steps=20))
    assert [step for step, _ in _measured(run)] == [19, 29]
    logged = [row["step"] for row in read_rows(run / "metrics.jsonl") if "loss" in row]
    assert logged == [9, 19, 29]


def test_a_run_can_end_with_its_best_weights(config: SchemaTraining) -> None:
    settings: dict[str, Any] = {"learning_rate": 3e-2, "head_learning_rate": 3e-2, "max_steps": 60}
    best = _trained(config, "best", evaluation=Evaluation(best=True), **settings)
    last = _trained(config, "last", **settings)
    assert _measured(best) == _measured(last)
    kept = [load_file(run / "checkpoints" / BEST_DEV) for run in (best, last)]
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])
    ended = load_file(best / "model.safetensors")
    assert all(torch.equal(ended[name], kept[0][name]) for name in ended)
    values = [value for _, value in _measured(last)]
    if values.index(max(values)) < len(values) - 1:
        assert _weights(best) != _weights(last)


def test_best_weights_without_texts_to_measure_on_are_refused(world: "World") -> None:
    path = world.retriever_recipe()
    path.write_text(path.read_text() + "\n[evaluation]\nbest = true\n")
    with pytest.raises(ConfigError, match="set share"):
        train(RetrieverRun(config=replace(read_retriever_recipe(path), out=str(world.root / "r"))))


def test_a_share_kept_apart_is_measured_where_a_recipe_names_no_texts(world: "World") -> None:
    path = world.retriever_recipe(max_steps=20, checkpoint_steps=20, out=str(world.root / "run"))
    path.write_text(path.read_text() + "\n[evaluation]\nshare = 0.3\n")
    config = read_retriever_recipe(path)
    run = RetrieverRun(config=config).open()
    plain = RetrieverRun(config=replace(config, evaluation=Evaluation())).open()
    assert 0 < len(run.examples) < len(plain.examples)
    assert plain.evaluation() is None
    folder = train(RetrieverRun(config=config))
    assert [step for step, _ in _measured(folder)] == [9, 19]


def test_a_reader_is_measured_on_the_texts_of_its_calibration(world: "World") -> None:
    recipe = world.retriever_recipe(out=str(world.root / "base"))
    base = RetrieverRun(config=read_retriever_recipe(recipe))
    train(base)
    bundle = str(base.end()["bundle"])
    path = world.reader_recipe(bundle, out=str(world.root / "run"), max_steps=12)
    folder = train(ReaderRun(config=read_reader_recipe(path)))
    rows = read_rows(folder / "metrics.jsonl")
    assert [row["step"] for row in rows if "dev_f1" in row] == [9, 11]
    last = read_figures(folder)["final"]
    assert isinstance(last, dict)
    assert {"dev_entity_f1", "dev_relation_f1", "loss"} <= last.keys()
    mean = (last["dev_entity_f1"] + last["dev_relation_f1"]) / 2
    assert last["dev_f1"] == pytest.approx(mean, abs=1e-4)


@pytest.mark.parametrize("wrong", [{"windows": -1}, {"steps": -5}, {"share": 1.0}, {"share": -0.1}])
def test_a_setting_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"\[evaluation\]: {next(iter(wrong))}: got"):
        from_mapping(Evaluation, wrong, where="[evaluation]")


def test_a_run_is_measured_at_steps_that_are_logged() -> None:
    assert Evaluation().every(1150) == 120
    assert Evaluation().every(40) == 10
    assert Evaluation(steps=25).every(1150) == 30
