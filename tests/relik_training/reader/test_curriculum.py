"""Easy windows come first, then all of them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("lightning")
pytest.importorskip("transformers")

from tokenizers import Tokenizer

from relik.kb import KnowledgeBase
from relik.testing import HashEncoder
from relik.types import Span
from relik_index import BuildOptions, build_index
from relik_training.data.examples import Example
from relik_training.data.statements import Mention
from relik_training.reader.curriculum import EasyFirst, competence
from relik_training.reader.reader_data import difficulty
from relik_training.recipes.reader_settings import Curriculum


class _Numbers:
    """Examples that are their positions; the harder the longer, two of a length."""

    def __init__(self) -> None:
        self.lengths = [n // 2 for n in range(200)]
        self.repeats = [1 + (n % 3 == 0) for n in range(200)]

    def batch(self, chosen: Sequence[int], step: int) -> list[int]:
        return [*chosen, -step]


def _batches(share: float = 0.5, seed: int = 1) -> list[list[int]]:
    numbers = _Numbers()
    source = EasyFirst(
        numbers,
        numbers.lengths,
        Curriculum(share=share, start=0.1),
        batch_size=4,
        max_steps=300,
        seed=seed,
    )
    return [source.batch([0, 0, 0, 0], step)[:4] for step in range(300)]


def test_the_first_batches_are_easy_and_the_last_are_as_planned() -> None:
    batches = _batches()
    assert max(max(batch) for batch in batches[:50]) < 20
    assert 20 < max(max(batch) for batch in batches[50:100]) < 140
    assert max(max(batch) for batch in batches[100:150]) > 140
    assert all(batch == [0, 0, 0, 0] for batch in batches[150:])


def test_examples_are_drawn_as_often_as_they_repeat_and_batched_by_length() -> None:
    drawn = [n for batch in _batches()[:50] for n in batch]
    counts = {n: drawn.count(n) for n in range(20)}
    assert sum(counts[n] for n in range(0, 20, 3)) > sum(counts[n] for n in range(1, 20, 3)) * 1.5
    assert all(max(b) - min(b) <= 3 for b in _batches()[:50])


def test_the_order_depends_on_the_seed_alone() -> None:
    assert _batches() == _batches()
    assert _batches() != _batches(seed=2)


def test_competence_grows_from_its_start_to_all() -> None:
    grown = [competence(n / 10, 0.2) for n in range(12)]
    assert grown[0] == pytest.approx(0.2)
    assert grown == sorted(grown)
    assert grown[10] == grown[11] == 1.0


@pytest.fixture
def kb(tmp_path: Path, word_tokenizer: Tokenizer) -> KnowledgeBase:
    (tmp_path / "rows.jsonl").write_text(
        '{"id": "Q1", "name": "Paris", "surfaces": {"Paris": 8}}\n'
        '{"id": "Q2", "name": "Paris", "surfaces": {"Paris": 1}}\n'
        '{"id": "Q3", "name": "Rome"}\n'
    )
    build_index(
        tmp_path / "rows.jsonl",
        tmp_path / "index",
        encoder=HashEncoder(16),
        tokenizer=word_tokenizer,
        options=BuildOptions(),
    )
    return KnowledgeBase.open(tmp_path / "index")


@pytest.mark.parametrize(
    ("surface", "entity_id", "doubt"),
    [
        ("Paris", "Q1", 1 - 9 / 12),
        ("Paris", "Q2", 1 - 2 / 12),
        ("Paris", None, 1 - 1 / 12),
        ("Rome", "Q3", 0.5),
        ("Oslo", None, 0.0),
        ("Oslo", "Q3", 1.0),
        ("Paris", "", 0.0),
    ],
)
def test_a_name_that_mostly_means_something_else_is_hard(
    kb: KnowledgeBase, surface: str, entity_id: str | None, doubt: float
) -> None:
    example = Example(
        doc_id="d",
        index=0,
        text=surface,
        mentions=(Mention(span=Span(0, len(surface)), entity_id=entity_id),),
        triples=(),
        unknown=(),
        relations="none",
    )
    assert difficulty(example, kb) == pytest.approx(doubt)
