"""Mined negatives are wrong, near, and the same when a run was stopped and goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from relik.errors import ConfigError  # noqa: E402
from relik.toml_settings import from_mapping  # noqa: E402
from relik.types import Span  # noqa: E402
from relik_training.data.examples import Example  # noqa: E402
from relik_training.data.knowledge_records import Records  # noqa: E402
from relik_training.data.statements import Mention  # noqa: E402
from relik_training.recipes.recipe import RetrieverTraining, read_retriever_recipe  # noqa: E402
from relik_training.recipes.retriever_settings import Mining  # noqa: E402
from relik_training.retriever.mining import MiningSource, encode_rows  # noqa: E402
from relik_training.retriever.retriever_data import (  # noqa: E402
    RetrieverBatch,
    RetrieverData,
)
from relik_training.retriever.retriever_module import RetrieverModule  # noqa: E402
from relik_training.retriever.retriever_run import RetrieverRun  # noqa: E402
from relik_training.run.trainer import run_steps  # noqa: E402

if TYPE_CHECKING:
    from tests.relik_training.conftest import World

STEPS = 8
MINING = "\n[mining]\nnegatives = 2\nevery = 3\n"


def _data(word_tokenizer: Tokenizer) -> RetrieverData:
    entities = Records(
        [
            {"id": "Q0", "name": "Rome", "description": "the capital city"},
            {"id": "Q1", "name": "Rome", "description": "a city"},
            {"id": "Q2", "name": "Oslo", "description": "the capital city"},
            {"id": "Q3", "name": "Paris", "description": "the capital city"},
            {"id": "Q4", "name": "Lima", "description": "capital"},
            {"id": "Q5", "name": "Ada", "description": "a person"},
        ]
    )
    text = "Rome the capital city and Oslo ."
    related = Example(
        doc_id="b",
        index=0,
        text="Ada knows Bob",
        mentions=(
            Mention(span=Span(0, 3), entity_id=""),
            Mention(span=Span(10, 13), entity_id=""),
        ),
        triples=((0, "P1", 1),),
        unknown=(),
        relations="all",
    )
    linked = Example(
        doc_id="a",
        index=0,
        text=text,
        mentions=(Mention(span=Span(0, 4), entity_id="Q0"),),
        triples=(),
        unknown=(),
        relations="none",
    )
    return RetrieverData(
        [linked, related],
        knowledge=(entities, Records([{"id": "P1", "name": "knows"}])),
        tokenizer=word_tokenizer,
        sampling=RetrieverTraining(
            data="",
            backbone="",
            sources=(),
            max_tokens=24,
            passage_tokens=24,
            hard_negatives=0,
            name_dropout=0.0,
            relation_negatives=0,
            seed=1,
        ),
    )


def _words(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Encode texts as the words they have: the more they share, the nearer they are."""
    vectors = torch.zeros(len(rows), 64)
    for place, row in enumerate(rows):
        vectors[place, list(row)] = 1.0
    return torch.nn.functional.normalize(vectors, dim=1)


def _mined(data: RetrieverData, **options: object) -> list[int]:
    settings = Mining(**{"negatives": 5, "margin": -1.0, **options})  # type: ignore[arg-type]
    source = MiningSource(data, [[0, 1]], options=settings, encode=_words, seed=3)
    source.batch([0, 1], 0)
    state = source.state()
    assert state["windows"].tolist() == [0]
    return [row for row in state["rows"][0].tolist() if row >= 0]


def test_near_records_are_negatives_but_none_that_may_be_right(word_tokenizer: Tokenizer) -> None:
    # Not the right one, nor another Rome, nor Oslo, which the window names without a link.
    assert _mined(_data(word_tokenizer)) == [3, 4, 5]
    assert _mined(_data(word_tokenizer), negatives=1) == [3]


def test_what_comes_too_near_the_right_record_is_left_out(word_tokenizer: Tokenizer) -> None:
    data = _data(word_tokenizer)
    right = _words(data.records([0])) @ _words([data.windows[0]]).T
    paris = _words(data.records([3])) @ _words([data.windows[0]]).T
    gap = float(right - paris)
    assert gap > 0.05
    assert _mined(data, margin=gap - 0.01) == [3, 4, 5]
    assert _mined(data, margin=gap + 0.01) == [4, 5]


def test_a_sample_of_the_records_has_the_right_ones(word_tokenizer: Tokenizer) -> None:
    data = _data(word_tokenizer)
    encoded: list[int] = []

    def noted(rows: Sequence[Sequence[int]]) -> torch.Tensor:
        encoded.append(len(rows))
        return _words(rows)

    options = Mining(negatives=5, records=3, margin=-1.0)
    source = MiningSource(data, [[0, 1]], options=options, encode=noted, seed=3)
    source.batch([0], 0)
    assert encoded == [3, 1]
    assert set(source.state()["rows"][0].tolist()) <= {3, 4, 5, -1}


def test_mined_records_are_passages_and_negatives(word_tokenizer: Tokenizer) -> None:
    data = _data(word_tokenizer)
    plain = data.batch([0], 0)
    assert plain.passages.ids.shape[0] == 1
    batch = data.batch([0], 0, {0: [3, 4]})
    assert batch.positive.tolist() == [[True, False, False]]
    assert not batch.ignored.any()
    assert batch.passages.ids[1].tolist() == data.records([3])[0]


def test_a_window_without_links_has_no_mined_negatives(word_tokenizer: Tokenizer) -> None:
    source = MiningSource(
        _data(word_tokenizer), [[1]], options=Mining(negatives=2), encode=_words, seed=3
    )
    batch = source.batch([1], 0)
    assert batch.passages.ids.shape[0] == 1
    assert source.state()["windows"].tolist() == []


@pytest.mark.parametrize("wrong", [{"negatives": -1}, {"every": 0}, {"records": -5}])
def test_a_setting_out_of_range_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="expected a whole number at least"):
        from_mapping(Mining, wrong, where="[mining]")


class Stopped(Exception):
    """Stands for what ends a run early."""


class _Stopping:
    """Batches of a source up to a step; notes the passages of each."""

    def __init__(self, source: MiningSource, stop: int) -> None:
        self._source = source
        self._stop = stop
        self.passages: dict[int, list[list[int]]] = {}
        self.lengths, self.repeats = source.lengths, source.repeats

    def batch(self, chosen: Sequence[int], step: int) -> RetrieverBatch:
        if step == self._stop:
            raise Stopped
        made = self._source.batch(chosen, step)
        self.passages[step] = made.passages.ids.tolist()
        return made


def _recipe(world: "World", out: str) -> RetrieverTraining:
    path = world.retriever_recipe(
        max_steps=STEPS, learning_rate=1e-2, hard_negatives=0, out=str(world.root / out)
    )
    path.write_text(path.read_text() + MINING)
    return read_retriever_recipe(path)


def _train(
    config: RetrieverTraining, stop: int = -1
) -> tuple[dict[str, torch.Tensor], dict[int, list[list[int]]]]:
    Path(config.out).mkdir(exist_ok=True)
    run = RetrieverRun(config=config).open()
    source = run.ready(run.examples)
    assert isinstance(source, MiningSource)
    stopping = _Stopping(source, stop)
    with suppress(Stopped):
        run_steps(run.module, stopping, config)
    return run.module.model.state_dict(), stopping.passages


@pytest.mark.parametrize("stop", [3, 5, 6, 7])
def test_a_run_that_was_stopped_mines_and_ends_the_same(world: "World", stop: int) -> None:
    whole, expected = _train(_recipe(world, "whole"))
    assert sorted(expected) == list(range(STEPS))
    config = _recipe(world, "stopped")
    _, before = _train(config, stop)
    assert sorted(before) == list(range(stop))
    resumed, after = _train(config)
    assert 0 < min(after) <= stop
    assert before | after == expected
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_mining_follows_the_weights(world: "World") -> None:
    run = RetrieverRun(config=_recipe(world, "run")).open()
    source = run.ready(run.examples)
    assert isinstance(source, MiningSource)
    chosen = list(range(10))
    source.batch(chosen, 0)
    first = source.state()
    with torch.no_grad():
        for weight in run.module.model.parameters():
            weight.add_(0.5 * torch.randn_like(weight))
    source.batch(chosen, 2)
    assert all(torch.equal(first[name], each) for name, each in source.state().items())
    source.batch(chosen, 0 + 3)
    assert int(source.state()["first"]) == 3
    assert source.state()["rows"].tolist() != first["rows"].tolist()
    source.restore(first)
    assert all(torch.equal(first[name], each) for name, each in source.state().items())


def test_texts_are_encoded_without_dropout_and_in_order(world: "World") -> None:
    run = RetrieverRun(config=_recipe(world, "run")).open()
    module = run.module.train()
    assert isinstance(module, RetrieverModule)
    rows = [[2, 5, 6, 7, 3], [2, 8, 3], [2, 9, 10, 3], [2, 5, 6, 7, 3]]
    state = torch.get_rng_state()
    vectors = encode_rows(module, rows, precision="32-true")
    assert torch.equal(torch.get_rng_state(), state)
    assert module.training
    assert module.model.training
    torch.testing.assert_close(vectors[0], vectors[3])
    for row, vector in zip(rows, vectors, strict=True):
        alone = encode_rows(module, [row], precision="32-true")[0]
        torch.testing.assert_close(vector, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_killed_process_goes_on_with_what_it_had_mined(world: "World") -> None:
    path = world.retriever_recipe(max_steps=30, warmup_steps=5)
    path.write_text(path.read_text() + "\n[mining]\nnegatives = 2\nevery = 7\n")

    def command(out: Path) -> list[str]:
        run = "import sys; from relik.cli import main; main(sys.argv[1:])"
        return [
            *(sys.executable, "-c", run, "train", "retriever"),
            *("--config", str(path), "--out", str(out)),
        ]

    whole, killed = world.root / "whole", world.root / "killed"
    subprocess.run(command(whole), check=True, capture_output=True)
    process = subprocess.Popen(
        command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    checkpoint = killed / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not checkpoint.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "model.safetensors").exists()
    subprocess.run(command(killed), check=True, capture_output=True)
    expected, found = (load_file(out / "model.safetensors") for out in (whole, killed))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
