"""A large reader is trained on a small base, serves, and teaches a small one; runs resume."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("onnx")
pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402 - needs torch

from relik.errors import ConfigError  # noqa: E402
from relik.find_pipeline import find_pipeline  # noqa: E402
from relik.layout import LAYOUT  # noqa: E402
from relik.types import AnnotateOptions, Document  # noqa: E402
from relik_training.cli import app  # noqa: E402
from relik_training.reader.reader_run import ReaderRun  # noqa: E402
from relik_training.recipes.recipe import read_reader_recipe  # noqa: E402
from relik_training.recipes.recipe_files import Overrides  # noqa: E402
from relik_training.run.run_files import begin  # noqa: E402
from relik_training.run.trainer import BatchSource, run_steps, train  # noqa: E402

if TYPE_CHECKING:
    from tests.relik_training.conftest import World

SMALL = {"max_steps": 4, "checkpoint_steps": 2}


def _train(kind: str, recipe: Path, out: Path, tables: str = "") -> Path:
    recipe.write_text(recipe.read_text() + tables)
    arguments = [kind, "--config", str(recipe), "--out", str(out)]
    made = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert made.exit_code == 0
    return out


@pytest.fixture
def base(world: "World") -> Path:
    return _train("retriever", world.retriever_recipe(**SMALL), world.root / "base") / "bundle"


@pytest.fixture
def large(world: "World", base: Path, mpnet_backbone: Path) -> Path:
    """A reader on the MPNet, on the base of the BERT."""
    recipe = world.reader_recipe(base, backbone=str(mpnet_backbone), **SMALL)
    return _train("reader", recipe, world.root / "large", "\n[lora]\nrank = 0\n")


def _metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_large_reader_serves_and_teaches_a_small_one(
    world: "World", base: Path, large: Path
) -> None:
    bundle = large / "bundle"
    assert (bundle / LAYOUT.reader_embeddings).is_file()
    document = Document(doc_id="d", text="Ada was born in Paris and later lived in Lima .")
    options = AnnotateOptions(threshold=0.0, relation_threshold=0.0)
    answers = [
        find_pipeline(str(bundle)).pipeline(backend).annotate([document], options=options)[0]
        for backend in ("torch", "onnx")
    ]
    assert answers[0].spans
    places = [[(each.span, each.entity_id) for each in answer.spans] for answer in answers]
    assert places[0] == places[1]
    for name, teacher in (("run", large), ("bundle", bundle)):
        table = f'\n[distillation]\nteacher = "{teacher}"\nspan_threshold = 0.1\n'
        out = world.root / f"student-of-{name}"
        student = _train("reader", world.reader_recipe(base, **SMALL), out, table)
        assert not (student / "bundle" / LAYOUT.reader_embeddings).exists()
        recipe = json.loads((student / "bundle" / "manifest.json").read_text())["recipe"]
        assert recipe["reader"]["distillation"]["weight"] == 1.0


class Stopped(Exception):
    """Stands for what ends a run early."""


class Stopping:
    """The batches of a run, up to a step."""

    def __init__(self, data: BatchSource, last: int) -> None:
        self._data = data
        self._last = last
        self.lengths, self.repeats = data.lengths, data.repeats

    def batch(self, chosen: Sequence[int], step: int) -> object:
        if step == self._last:
            raise Stopped
        return self._data.batch(chosen, step)


def test_a_run_with_states_and_adapters_resumes_as_if_never_stopped(
    world: "World", base: Path, large: Path
) -> None:
    pytest.importorskip("peft")
    recipe = world.reader_recipe(base, max_steps=12, checkpoint_steps=2, warmup_steps=1)
    states = "hidden = 1.0\nattention = 0.5\nstates_first = 10\n"
    tables = f'\n[distillation]\nteacher = "{large}"\n{states}[lora]\nrank = 2\n'
    recipe.write_text(recipe.read_text() + tables)
    whole, stopped = (
        read_reader_recipe(recipe, Overrides(out=str(world.root / name)))
        for name in ("whole", "stopped")
    )
    begin(Path(stopped.out), stopped)
    run = ReaderRun(config=stopped).open()
    with pytest.raises(Stopped):
        run_steps(run.module, Stopping(run.ready(run.examples), 7), stopped)
    assert (Path(stopped.out) / "checkpoints" / "last.ckpt").is_file()
    expected, found = (
        load_file(train(ReaderRun(config=config)) / "model.safetensors")
        for config in (whole, stopped)
    )
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    first = next(row for row in _metrics(Path(whole.out)) if "loss" in row)
    assert {"hidden", "attention"} <= first.keys()
    assert "start" not in first


def test_a_retriever_learns_from_a_backbone_with_adapters(
    world: "World", mpnet_backbone: Path
) -> None:
    pytest.importorskip("peft")
    tables = f'\n[distillation]\nteacher = "{mpnet_backbone}"\nvectors = 1.0\n[lora]\nrank = 2\n'
    run = _train("retriever", world.retriever_recipe(max_steps=12), world.root / "run", tables)
    assert {"taught_scores", "taught_vectors"} <= next(
        row for row in _metrics(run) if "loss" in row
    ).keys()
    assert (run / "bundle" / LAYOUT.manifest).is_file()


def test_a_backbone_with_other_words_than_the_base_is_refused(
    world: "World", base: Path, mpnet_backbone: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(mpnet_backbone, other)
    text = (other / "tokenizer.json").read_text()
    (other / "tokenizer.json").write_text(text.replace('"paris"', '"parys"'))
    recipe = world.reader_recipe(base, backbone=str(other))
    with pytest.raises(ConfigError, match="its words are not those of the backbone"):
        train(ReaderRun(config=read_reader_recipe(recipe, Overrides(out=str(world.root / "run")))))


def test_encoder_and_reader_of_one_large_backbone_share_their_words(
    world: "World", mpnet_backbone: Path
) -> None:
    chosen = SMALL | {"backbone": str(mpnet_backbone)}
    base = _train("retriever", world.retriever_recipe(**chosen), world.root / "base") / "bundle"
    run = _train("reader", world.reader_recipe(base, **chosen), world.root / "reader")
    assert not (run / "bundle" / LAYOUT.reader_embeddings).exists()
    document = Document(doc_id="d", text="Ada was born in Paris .")
    for backend in ("torch", "onnx"):
        pipeline = find_pipeline(str(run / "bundle")).pipeline(backend)
        options = AnnotateOptions(threshold=0.0, nil=True)
        assert pipeline.annotate([document], options=options)[0].spans
