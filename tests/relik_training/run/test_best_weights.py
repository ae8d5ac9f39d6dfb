"""A run of the reader stops where it no longer gets better, killed or not, and ends with its best.

The runs here have every option of the reader that depends on the step.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("transformers")

from tokenizers import Tokenizer  # noqa: E402 - needs torch

from relik.config import RetrieverConfig  # noqa: E402
from relik.kb import KnowledgeBase  # noqa: E402
from relik.kb.view import KnowledgeView  # noqa: E402
from relik.models.reader_module import HeadConfig, ReaderModel  # noqa: E402
from relik.reader.inputs import MarkerLayout  # noqa: E402
from relik.retriever.window_retriever import WindowRetriever  # noqa: E402
from relik.testing import HashEncoder  # noqa: E402
from relik.types import Span  # noqa: E402
from relik_index import BuildOptions, build_index  # noqa: E402
from relik_training.data.candidates import CandidateSource  # noqa: E402
from relik_training.data.examples import Example  # noqa: E402
from relik_training.data.statements import Mention  # noqa: E402
from relik_training.reader.curriculum import EasyFirst  # noqa: E402
from relik_training.reader.reader_data import ReaderBatch, ReaderData  # noqa: E402
from relik_training.reader.reader_module import ReaderModule  # noqa: E402
from relik_training.reader.reader_run import arranged, watch_apart  # noqa: E402
from relik_training.recipes.reader_settings import (  # noqa: E402
    Curriculum,
    EarlyStopping,
    ReaderSampling,
)
from relik_training.recipes.recipe import ReaderTraining  # noqa: E402
from relik_training.run.backbone import open_backbone  # noqa: E402
from relik_training.run.batches import StepBatches  # noqa: E402
from relik_training.run.best_weights import (  # noqa: E402
    BEST,
    Best,
    KeepBest,
    Part,
    keep_apart,
    split_apart,
)
from relik_training.run.trainer import fit, plan_steps  # noqa: E402

if TYPE_CHECKING:
    from tests.relik_training.conftest import World

STEPS = 12
_NAMES = ("Ada", "Paris", "Rome", "Edgar")
Weights = dict[str, Any]


class Stopped(Exception):
    """Stands for what ends a run early."""


def _examples() -> list[Example]:
    found = []
    for number in range(40):
        first, second = _NAMES[number % 4], _NAMES[(number // 4) % 4]
        text = f"{first} was born in {second} and {'later ' * (number % 3)}lived in Oslo"
        at = text.index(second, len(first))
        mentions = (
            Mention(span=Span(0, len(first)), entity_id=f"Q{number % 4}"),
            Mention(span=Span(at, at + len(second)), entity_id=f"Q{(number // 4) % 4}"),
        )
        found.append(
            Example(
                doc_id=f"d{number}",
                index=0,
                text=text,
                mentions=mentions,
                triples=((0, "P1", 1),),
                unknown=(),
                relations="some",
            )
        )
    return found


def _index(folder: Path, tokenizer: Tokenizer, names: tuple[str, ...], letter: str) -> None:
    folder.mkdir()
    rows = (f'{{"id": "{letter}{at}", "name": "{n}"}}\n' for at, n in enumerate(names))
    (folder / "rows.jsonl").write_text("".join(rows))
    build_index(
        folder / "rows.jsonl",
        folder / "index",
        encoder=HashEncoder(16),
        tokenizer=tokenizer,
        options=BuildOptions(),
    )


@pytest.fixture
def data(world: "World", word_tokenizer: Tokenizer) -> ReaderData:
    opened = []
    for folder, names, letter in (("e", _NAMES, "Q"), ("r", ("met", "born in"), "P")):
        _index(world.root / folder, word_tokenizer, names, letter)
        opened.append(KnowledgeBase.open(world.root / folder / "index"))
    return ReaderData(
        _examples(),
        tokenizer=word_tokenizer,
        layout=MarkerLayout.of(word_tokenizer, n_entities=10, n_relations=4),
        source=CandidateSource(
            view=KnowledgeView(entities=opened[0], relations=opened[1]),
            retriever=WindowRetriever(HashEncoder(16), RetrieverConfig()),
        ),
        sampling=ReaderSampling(max_tokens=60, typos=0.5, typo_words=0.5),
    )


def _config(world: "World", out: Path, **settings: object) -> ReaderTraining:
    values: dict[str, object] = {
        "backbone": str(world.backbone),
        "data": "",
        "knowledge": "",
        "base": "",
        "sources": (),
        "out": str(out),
        "batch_size": 4,
        "max_steps": STEPS,
        "warmup_steps": 2,
        "learning_rate": 1e-2,
        "curriculum": Curriculum(share=0.5, start=0.3),
        "early_stopping": EarlyStopping(patience=2, steps=2, share=0.2),
        "packing": True,
        "gradient_checkpointing": True,
    }
    return ReaderTraining(**{**values, **settings})  # type: ignore[arg-type]


def _train(
    config: ReaderTraining,
    data: ReaderData,
    tokenizer: Tokenizer,
    watch: Callable[[int], None],
    *,
    checkpoint_steps: int = 3,
) -> Weights:
    torch.manual_seed(1)
    pretrained = open_backbone(config.backbone, token_types=4, hidden_dropout=0.1)
    layers = arranged(
        pretrained.layers, packed=config.packing, checkpointed=config.gradient_checkpointing
    ).train()
    layout = MarkerLayout.of(tokenizer, n_entities=10, n_relations=4)
    heads = HeadConfig(hidden_size=32, linears_hidden_size=16)
    module = ReaderModule(
        ReaderModel(layers, heads, n_markers=layout.size),
        pretrained.embeddings,
        settings=replace(config, head_learning_rate=config.learning_rate, seed=1),
    )
    watcher, trained = watch_apart(module, data, config)
    module.watch(watcher)
    source = EasyFirst(
        Part(data, trained),
        [data.difficulties[i] for i in trained],
        config.curriculum,
        batch_size=config.batch_size,
        max_steps=config.max_steps,
        seed=config.seed,
    )
    plan = plan_steps(source, config)

    def make(step: int) -> ReaderBatch:
        watch(step)
        batch: ReaderBatch = source.batch(plan[step], step)
        return batch

    fit(
        module,
        StepBatches(make, config.max_steps, lambda: module.global_step),
        replace(config, checkpoint_steps=checkpoint_steps, precision="32-true"),
    )
    weights: Weights = module.model.state_dict()
    return weights


def _equal(first: Weights, second: Weights) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("stop", [4, 5, 7])
def test_a_killed_run_ends_as_one_that_was_not(
    world: "World", data: ReaderData, word_tokenizer: Tokenizer, stop: int
) -> None:
    def stopping(step: int) -> None:
        if step == stop:
            raise Stopped

    whole = _config(world, world.root / "whole")
    killed = _config(world, world.root / "killed")
    steps: list[int] = []
    expected = _train(whole, data, word_tokenizer, steps.append)
    with pytest.raises(Stopped):
        _train(killed, data, word_tokenizer, stopping)
    assert (world.root / "killed" / "checkpoints" / "last.ckpt").is_file()
    resumed: list[int] = []
    found = _train(killed, data, word_tokenizer, resumed.append)
    assert 0 < resumed[0] <= stop
    assert resumed[-1] == steps[-1]
    assert _equal(expected, found)


def test_a_run_that_gets_worse_stops_and_goes_back(
    world: "World", data: ReaderData, word_tokenizer: Tokenizer
) -> None:
    # At this rate the first steps destroy more than the later ones mend.
    config = _config(
        world,
        world.root / "run",
        learning_rate=1.0,
        warmup_steps=4,
        early_stopping=EarlyStopping(patience=1, steps=1, share=0.2),
    )
    steps: list[int] = []
    found = _train(config, data, word_tokenizer, steps.append, checkpoint_steps=1)
    assert len(steps) < STEPS
    best = world.root / "run" / "checkpoints" / BEST
    from safetensors.torch import load_file

    assert _equal(found, load_file(best))
    again: list[int] = []
    assert _equal(_train(config, data, word_tokenizer, again.append, checkpoint_steps=1), found)
    assert len(again) <= 1


def test_packing_and_computing_again_change_no_result(
    world: "World", data: ReaderData, word_tokenizer: Tokenizer
) -> None:
    ways = [(False, False), (False, True), (True, False), (True, True)]
    runs = []
    for packing, checkpointing in ways:
        out = world.root / f"{packing}-{checkpointing}"
        settings = {"packing": packing, "gradient_checkpointing": checkpointing, "max_steps": 4}
        config = _config(world, out, learning_rate=1e-3, **settings)
        runs.append(_train(config, data, word_tokenizer, lambda _: None))
    assert _equal(runs[0], runs[1])
    assert _equal(runs[2], runs[3])
    # Dropout falls on other places of the flat run of tokens: alike, not the same.
    assert not _equal(runs[0], runs[2])


def test_documents_are_kept_apart_with_their_copies() -> None:
    ids = [f"d{number // 2}" for number in range(200)]
    copies = [f"{key}#copy:swap{at}" for at, key in enumerate(ids)]
    apart = keep_apart([*ids, *copies], 0.2, 1)
    assert 40 <= len(apart) <= 120
    held = {ids[i % 200] for i in apart}
    assert len(apart) == 4 * len(held)
    # Which documents are kept apart does not depend on the others.
    assert keep_apart(ids[:100], 0.2, 1) == [i for i in keep_apart(ids, 0.2, 1) if i < 100]
    assert len(keep_apart(["a", "a", "b"], 0.0, 1)) in (1, 2)
    assert keep_apart([], 0.2, 1) == []


def test_examples_are_split_by_document_and_stay_together_at_share_0() -> None:
    examples = _examples()
    trained, apart = split_apart(examples, 0.2, 1)
    assert trained
    assert apart
    assert sorted(e.doc_id for e in (*trained, *apart)) == sorted(e.doc_id for e in examples)
    assert split_apart(examples, 0.0, 1) == (examples, [])


def test_a_run_that_one_watcher_stopped_is_not_started_by_another(tmp_path: Path) -> None:
    import lightning

    trainer = lightning.Trainer(logger=False, default_root_dir=tmp_path, accelerator="cpu")
    best = Best(figure="dev_f1", every=10, max_steps=20)
    other = Best(figure="held_back_loss", every=10, max_steps=20, lowest=True, patience=1)
    stopped, running = (KeepBest(dict, each, tmp_path / BEST) for each in (other, best))
    stopped.load_state_dict({"best": 1.0, "waited": 1, "stopped": True})
    assert stopped.state_key != running.state_key
    for watcher in (stopped, running):
        watcher.on_train_start(trainer, lightning.LightningModule())
    assert trainer.should_stop
