"""Candidates for mentions that are given."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from relik.kb import KnowledgeBase
from relik.retriever.named import PER_MENTION, with_named
from relik.testing import HashEncoder
from relik.types import Candidate, Span, Window, WindowCandidates
from relik_index import build_index

TEXT = "the data of Paris and of magnets"


@pytest.fixture
def kb(tmp_path: Path) -> KnowledgeBase:
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    source = tmp_path / "kb.jsonl"
    source.write_text(
        '{"id": "data", "name": "Data"}\n{"id": "magnet", "name": "magnet"}\n'
        '{"id": "city", "name": "Paris", "surfaces": {"Paris": 9}}\n'
        '{"id": "hero", "name": "Paris", "surfaces": {"Paris": 1}}\n'
        '{"id": "town", "name": "Paris"}\n{"id": "film", "name": "Paris"}\n'
    )
    build_index(source, tmp_path / "kb", encoder=HashEncoder(8), tokenizer=tokenizer)
    return KnowledgeBase.open(tmp_path / "kb")


def _found(ids: Sequence[str]) -> WindowCandidates:
    return WindowCandidates(
        entities=tuple(
            Candidate(entity_id=key, score=1 - rank / 10, rank=rank, source="dense")
            for rank, key in enumerate(ids)
        )
    )


def _named(kb: KnowledgeBase, ids: Sequence[str], *surfaces: str) -> list[str]:
    window = Window(doc_id="d", index=0, span=Span(5, 5 + len(TEXT)), text=TEXT)
    spans = [Span(5 + TEXT.index(s), 5 + TEXT.index(s) + len(s)) for s in surfaces]
    entities = with_named(_found(ids), window, spans, kb).entities
    assert [one.rank for one in entities] == list(range(len(entities)))
    assert list(entities) == sorted(entities, key=lambda one: (-one.score, one.entity_id))
    return [one.entity_id for one in entities]


def test_a_name_in_lower_case_and_a_plural_are_found(kb: KnowledgeBase) -> None:
    assert set(_named(kb, ["1", "2", "3", "4"], "data", "magnets")) == {"1", "2", "data", "magnet"}


def test_of_namesakes_the_most_frequent_are_taken(kb: KnowledgeBase) -> None:
    found = _named(kb, [str(n) for n in range(9)], "Paris")
    assert len(found) == 9
    assert {"city", "hero"} < set(found)
    assert len({"city", "hero", "town", "film"} & set(found)) == PER_MENTION


def test_what_was_found_is_not_added_again(kb: KnowledgeBase) -> None:
    assert _named(kb, ["data", "1"], "data") == ["data", "1"]


def test_at_least_half_of_what_was_found_stays(kb: KnowledgeBase) -> None:
    found = _named(kb, ["1", "2"], "Paris", "data", "magnets")
    assert found[0] == "1"
    assert {"data", "magnet", "city"} < set(found)
