"""Candidates for mentions that are given."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from relik.kb import KnowledgeBase
from relik.retriever.mention_candidates import (
    ALWAYS_READ,
    PER_MENTION,
    readings,
    with_named,
    worth_reading,
)
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
        + "".join(f'{{"id": "film{n}", "name": "Paris"}}\n' for n in range(PER_MENTION))
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
    found = _named(kb, [str(n) for n in range(20)], "Paris")
    assert len(found) == 20
    assert {"city", "hero"} < set(found)
    assert sum(not key.isdigit() for key in found) == PER_MENTION


def test_a_bearer_found_among_the_last_does_not_make_room_for_others(kb: KnowledgeBase) -> None:
    assert set(_named(kb, ["1", "2", "3", "data"], "data", "magnets")) == {
        "1",
        "2",
        "magnet",
        "data",
    }


def test_what_was_found_is_not_added_again(kb: KnowledgeBase) -> None:
    assert _named(kb, ["data", "1"], "data") == ["data", "1"]


def test_at_least_half_of_what_was_found_stays(kb: KnowledgeBase) -> None:
    found = _named(kb, ["1", "2"], "Paris", "data", "magnets")
    assert found[0] == "1"
    assert {"data", "magnet", "city"} < set(found)


def _window(text: str) -> tuple[Window, list[Span]]:
    """Give a window whose mentions are its words."""
    spans, first = [], 7
    for word in text.split():
        spans.append(Span(first, first + len(word)))
        first += len(word) + 1
    return Window(doc_id="d", index=0, span=Span(7, 7 + len(text)), text=text), spans


def test_mentions_that_mean_too_much_for_one_reading_are_read_apart(kb: KnowledgeBase) -> None:
    window, spans = _window("Paris data magnets Paris")
    found = _found([str(n) for n in range(10)])
    asked = readings([window, window], [found, found], [spans, spans[1:3]], kb)
    # Six bearers is the most that ten candidates have room for.
    assert [(at, list(some)) for at, some, _ in asked] == [
        (0, spans[:1]),
        (0, spans[1:3]),
        (0, spans[3:]),
        (1, spans[1:3]),
    ]
    for _, some, candidates in asked:
        ids = {one.entity_id for one in candidates.entities}
        if spans[0] in some or spans[3] in some:
            assert {"city", "hero"} <= ids
        else:
            assert {"data", "magnet"} <= ids


def test_a_window_without_mentions_is_not_read(kb: KnowledgeBase) -> None:
    window, spans = _window("data")
    found = _found(["1", "2"])
    assert readings([window, window], [found, found], [[], []], kb) == []
    assert readings([window, window], [found, found], [[], spans], None) == [(1, spans, found)]


@pytest.mark.parametrize(
    ("scores", "least", "n_read"),
    [
        ([0.9, 0.5, 0.1], 0.0, 3),
        ([0.9] * 10 + [0.1] * 5, 0.2, 10),
        ([0.9] * 10 + [0.1] * 5, 0.1, 15),
        ([0.9, 0.1, 0.0], 0.2, 3),
        ([0.1] * 12, 0.2, ALWAYS_READ),
        ([], 0.2, 0),
    ],
)
def test_improbable_candidates_are_not_worth_reading(
    scores: list[float], least: float, n_read: int
) -> None:
    candidates = tuple(
        Candidate(entity_id=str(rank), score=score, rank=rank, source="dense")
        for rank, score in enumerate(scores)
    )
    found = WindowCandidates(entities=candidates, relations=candidates[:1])
    told = worth_reading(found, least)
    assert told.entities == candidates[:n_read]
    assert told.relations == found.relations
