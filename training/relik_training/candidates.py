"""The candidates of every training window, retrieved once as serving retrieves them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from relik.kb import KnowledgeBase
from relik.types import Candidate, FloatArray, IntArray, Span, Window
from relik_training.examples import Example
from relik_training.progress import told

_CHUNK = 64
_NONE = -1


class SharedRetriever(Protocol):
    """A retriever whose encoding of windows another one can use."""

    def encode(self, windows: Sequence[Window]) -> FloatArray:
        """Encode windows: float32, (n_windows, dim)."""

    def retrieve_encoded(
        self, windows: Sequence[Window], vectors: FloatArray, *, top_k: int
    ) -> list[tuple[Candidate, ...]]:
        """Return the candidates of encoded windows, best first."""


@dataclass(frozen=True, slots=True)
class FoundCandidates:
    """Rows of candidates, best first, -1 where there are fewer.

    Args:
        entities: Int64, (n_windows, entity top_k).
        relations: Int64, (n_windows, relation top_k); all -1 where relations are not annotated.
    """

    entities: IntArray
    relations: IntArray


def find_candidates(
    examples: Sequence[Example],
    *,
    entities: tuple[KnowledgeBase, SharedRetriever],
    relations: tuple[KnowledgeBase, SharedRetriever],
    top_k: tuple[int, int],
    cache: Path | None = None,
) -> FoundCandidates:
    """Retrieve the candidates of all windows.

    Args:
        examples: Windows; those of one document stand together, in order.
        entities: Knowledge base of entities and its retriever.
        relations: Knowledge base of relations and its retriever; shares the encoder.
        top_k: Entities and relations per window.
        cache: File to keep the answer in; one that fits is read instead.

    Returns:
        The candidates.
    """
    held = _read(cache, len(examples), top_k)
    if held is not None:
        return held
    found = FoundCandidates(
        np.full((len(examples), top_k[0]), _NONE, dtype=np.int64),
        np.full((len(examples), top_k[1]), _NONE, dtype=np.int64),
    )
    with told() as tell:
        for first, last in _chunks(examples):
            _fill_chunk(found, first, examples[first:last], entities, relations)
            tell("candidates", last, len(examples))
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_suffix(".partial")
        save_file({"entities": found.entities, "relations": found.relations}, partial)
        partial.replace(cache)
    return found


def _read(cache: Path | None, n_windows: int, top_k: tuple[int, int]) -> FoundCandidates | None:
    if cache is None or not cache.is_file():
        return None
    try:
        held: dict[str, Any] = load_file(cache)
    except SafetensorError:
        return None
    shapes = {name: array.shape for name, array in held.items()}
    if shapes != {"entities": (n_windows, top_k[0]), "relations": (n_windows, top_k[1])}:
        return None
    return FoundCandidates(held["entities"], held["relations"])


def _fill_chunk(
    found: FoundCandidates,
    first: int,
    examples: Sequence[Example],
    entities: tuple[KnowledgeBase, SharedRetriever],
    relations: tuple[KnowledgeBase, SharedRetriever],
) -> None:
    windows = [_window(example) for example in examples]
    vectors = entities[1].encode(windows)
    top_k = found.entities.shape[1], found.relations.shape[1]
    linked = entities[1].retrieve_encoded(windows, vectors, top_k=top_k[0])
    for k, candidates in enumerate(linked, start=first):
        _fill(found.entities[k], entities[0], candidates)
    wanted = [k for k, example in enumerate(examples) if example.relations != "none"]
    if wanted:
        related = relations[1].retrieve_encoded(
            [windows[k] for k in wanted], vectors[wanted], top_k=top_k[1]
        )
        for k, candidates in zip(wanted, related, strict=True):
            _fill(found.relations[first + k], relations[0], candidates)


def _chunks(examples: Sequence[Example]) -> Iterator[tuple[int, int]]:
    """Cut where a document ends, so that its windows are matched together."""
    first = 0
    for i in range(1, len(examples) + 1):
        ends = i == len(examples) or examples[i].doc_id != examples[i - 1].doc_id
        if ends and (i - first >= _CHUNK or i == len(examples)):
            yield first, i
            first = i


def _window(example: Example) -> Window:
    return Window(
        doc_id=example.doc_id,
        index=example.index,
        span=Span(0, max(1, len(example.text))),
        text=example.text,
    )


def _fill(row: IntArray, kb: KnowledgeBase, candidates: Sequence[Candidate]) -> None:
    for place, candidate in enumerate(candidates):
        number = kb.row_of(candidate.entity_id)
        row[place] = _NONE if number is None else number
