"""The held-out share is the same in every run, and no run trains on it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from relik_training.data.held_out import hold_out, without_held_out
from relik_training.data.json_lines import read_jsonl
from relik_training.recipes.recipe import (
    ReaderTraining,
    RetrieverTraining,
    read_reader_recipe,
    read_retriever_recipe,
)
from relik_training.recipes.recipe_files import Overrides
from relik_training.recipes.source_config import SourceConfig

if TYPE_CHECKING:
    from tests.relik_training.conftest import World


@pytest.fixture
def reader(world: "World") -> ReaderTraining:
    recipe = world.reader_recipe(world.root / "base")
    return read_reader_recipe(recipe, Overrides(out=str(world.root / "reader")))


@pytest.fixture
def retriever(world: "World") -> RetrieverTraining:
    recipe = world.retriever_recipe(held_out_source="train.jsonl", held_out=0.1)
    return read_retriever_recipe(recipe, Overrides(out=str(world.root / "retriever")))


def test_the_split_is_whole_and_stratified(world: "World", reader: ReaderTraining) -> None:
    rows = [
        {"doc_id": f"{relation}{i}", "text": "", "spans": [], "triples": [[0, relation, 1]]}
        for relation in ("P1", "P2")
        for i in range(20)
    ]
    (world.data / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    train, held = (list(read_jsonl(path)) for path in hold_out(reader))
    assert sorted(row["doc_id"] for row in train + held) == sorted(row["doc_id"] for row in rows)
    assert sorted(row["triples"][0][1] for row in held) == ["P1", "P1", "P2", "P2"]


def test_both_runs_hold_out_the_same(reader: ReaderTraining, retriever: RetrieverTraining) -> None:
    parts = [[path.read_bytes() for path in hold_out(config)] for config in (reader, retriever)]
    assert parts[0] == parts[1]
    assert parts[0][1]


def test_the_training_part_takes_the_place_of_the_set(reader: ReaderTraining) -> None:
    sources = (SourceConfig(path="train.jsonl", relations="all"), SourceConfig(path="dev.jsonl"))
    changed, kept = without_held_out(reader, sources)
    assert kept == sources[1]
    assert changed.relations == "all"
    texts = {row["doc_id"] for row in read_jsonl(Path(changed.path))}
    _, held = hold_out(reader)
    assert texts.isdisjoint(row["doc_id"] for row in read_jsonl(held))
