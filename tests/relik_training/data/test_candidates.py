"""Candidates of training windows are those that serving finds, retrieved once."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

pytest.importorskip("torch")

from relik.bundle import open_bundle
from relik.config import RetrieverConfig
from relik.kb import KnowledgeBase
from relik.kb.view import KnowledgeView
from relik.retriever.window_retriever import WindowRetriever
from relik.testing import HashEncoder
from relik.types import Candidate, Span, Window
from relik_index import BuildOptions, build_index
from relik_training.data.candidates import (
    CandidateSource,
    FoundCandidates,
    find_candidates,
    open_candidate_source,
)
from relik_training.data.examples import Example


class _Counting(WindowRetriever):
    """Counts the windows that are encoded."""

    encoded = 0

    def retrieve(
        self, windows: Sequence[Window], view: KnowledgeView, *, top_k: tuple[int, int]
    ) -> tuple[list[tuple[Candidate, ...]], list[tuple[Candidate, ...]]]:
        self.encoded += len(windows)
        return super().retrieve(windows, view, top_k=top_k)


def _example(doc_id: str, index: int, text: str, relations: str) -> Example:
    return Example(
        doc_id=doc_id,
        index=index,
        text=text,
        mentions=(),
        triples=(),
        unknown=(),
        relations=relations,
    )


def _built(folder: Path, tokenizer: Tokenizer, names: Sequence[str]) -> KnowledgeBase:
    folder.mkdir()
    lines = [f'{{"id": "{name.upper()}", "name": "{name}"}}\n' for name in names]
    (folder / "rows.jsonl").write_text("".join(lines))
    build_index(
        folder / "rows.jsonl",
        folder / "index",
        encoder=HashEncoder(16),
        tokenizer=tokenizer,
        options=BuildOptions(),
    )
    return KnowledgeBase.open(folder / "index")


@pytest.fixture
def world(tmp_path: Path, word_tokenizer: Tokenizer):  # type: ignore[no-untyped-def]
    encoder = HashEncoder(16)
    entities = _built(tmp_path / "entities", word_tokenizer, ("Ada", "Paris", "Rome", "Oslo"))
    relations = _built(tmp_path / "relations", word_tokenizer, ("met", "born"))
    retriever = _Counting(encoder, RetrieverConfig())
    texts = ("Ada in Rome", "Paris", "Oslo and Ada", "nobody")
    examples = [
        _example(f"d{i // 2}", i % 2, text, "some" if i % 3 == 0 else "none")
        for i, text in enumerate(texts * 40)
    ]

    def find(cache: Path | None = None, top_k: tuple[int, int] = (3, 2)) -> FoundCandidates:
        return find_candidates(
            examples,
            CandidateSource(
                view=KnowledgeView(entities=entities, relations=relations), retriever=retriever
            ),
            top_k=top_k,
            cache=cache,
        )

    return find, retriever, examples, entities


def test_they_are_what_the_retriever_finds_in_whole_documents(world) -> None:  # type: ignore[no-untyped-def]
    find, retriever, examples, entities = world
    found = find()
    windows = [
        Window(
            doc_id=example.doc_id,
            index=example.index,
            span=Span(0, len(example.text)),
            text=example.text,
        )
        for example in examples
    ]
    view = KnowledgeView(entities=entities, relations=entities)
    expected, _ = retriever.retrieve(windows, view, top_k=(3, 0))
    for row, candidates in zip(found.entities, expected, strict=True):
        assert [entities.entity_id(r) for r in row] == [c.entity_id for c in candidates]
    has_relations = (found.relations >= 0).all(axis=1)
    assert has_relations.tolist() == [e.relations == "some" for e in examples]


def test_a_search_that_was_stopped_goes_on(
    world,  # type: ignore[no-untyped-def]
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find, retriever, examples, _ = world
    monkeypatch.setattr("relik_training.data.candidates._SAVE_EVERY", 1)
    cache, whole = tmp_path / "run" / "candidates.safetensors", find()
    searched = type(retriever).retrieve

    def stopped(self, *args: object, **kwargs: object):  # type: ignore[no-untyped-def]
        if retriever.encoded > len(examples) // 2:
            raise KeyboardInterrupt
        return searched(self, *args, **kwargs)

    retriever.encoded = 0
    with monkeypatch.context() as patch:
        patch.setattr(type(retriever), "retrieve", stopped)
        with pytest.raises(KeyboardInterrupt):
            find(cache)
    (begun,) = cache.parent.iterdir()
    kept = begun.read_bytes()

    retriever.encoded = 0
    found = find(cache)
    assert 0 < retriever.encoded < len(examples)
    assert np.array_equal(found.entities, whole.entities)
    assert np.array_equal(found.relations, whole.relations)
    assert list(cache.parent.iterdir()) == [cache]

    # What does not fit, or was cut short, is searched for anew.
    for number, wrong in enumerate((kept[:100], kept[: len(kept) // 2], b"")):
        other = tmp_path / f"{number}" / cache.name
        other.parent.mkdir()
        other.with_suffix(begun.suffix).write_bytes(wrong)
        assert np.array_equal(find(other).entities, whole.entities)
    other = tmp_path / "narrow" / cache.name
    other.parent.mkdir()
    other.with_suffix(begun.suffix).write_bytes(kept)
    assert find(other, top_k=(2, 2)).entities.shape == (len(examples), 2)


def test_a_kept_answer_is_read_and_one_that_does_not_fit_is_not(
    world,  # type: ignore[no-untyped-def]
    tmp_path: Path,
) -> None:
    find, retriever, _, _ = world
    cache = tmp_path / "run" / "candidates.safetensors"
    first = find(cache)
    retriever.encoded = 0
    again = find(cache)
    assert retriever.encoded == 0
    assert np.array_equal(first.entities, again.entities)
    assert np.array_equal(first.relations, again.relations)
    assert find(cache, top_k=(2, 2)).entities.shape[1] == 2
    assert retriever.encoded > 0
    cache.write_bytes(b"cut off")
    retriever.encoded = 0
    assert np.array_equal(find(cache).entities, first.entities)
    assert retriever.encoded > 0


def test_processes_that_share_the_windows_find_the_same() -> None:
    base = open_bundle().path
    texts = ("Ada Lovelace met Charles Babbage in London", "Paris", "", "Rome and Oslo")
    examples = [
        _example(f"d{i // 2}", i % 2, f"{text} {i}", "some" if i % 3 else "none")
        for i, text in enumerate(texts * 50)
    ]
    source = open_candidate_source(base, "onnx")
    before = dict(os.environ)
    alone, shared = (
        find_candidates(
            examples,
            source,
            top_k=(8, 4),
            opener=partial(open_candidate_source, base, "onnx", threads=1),
            workers=workers,
        )
        for workers in (0, 2)
    )
    assert np.array_equal(alone.entities, shared.entities)
    assert np.array_equal(alone.relations, shared.relations)
    assert (shared.entities >= 0).all()
    assert dict(os.environ) == before
