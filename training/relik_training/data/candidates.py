"""The candidates of all training windows, retrieved once, by the retriever of serving.

Retrieval of a window uses few cores, and name lookup a single one, so that on many cores several
processes share the windows.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from relik.config import read_pipeline
from relik.kb import KnowledgeBase
from relik.kb.view import KnowledgeView
from relik.layout import LAYOUT
from relik.retriever.encoder import open_encoder
from relik.retriever.window_retriever import WindowRetriever
from relik.types import Candidate, IntArray, Span, Window
from relik_training.data.examples import Example
from relik_training.run.processes import end_with_parent
from relik_training.run.progress import told

# Environment variables that OpenMP, OpenBLAS and MKL read when they are loaded.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_CHUNK = 64
_SAVE_EVERY = 20
"""Chunks between two checkpoints: about a minute on two cores."""
_NONE = -1
# A worker takes seconds to open the indexes, and one process keeps two cores busy.
_MIN_CORES = 4
_WINDOWS_PER_WORKER = 300


@dataclass(frozen=True, slots=True)
class FoundCandidates:
    """Rows of candidates in the knowledge base, best first, padded with -1.

    Args:
        entities: Int64, (n_windows, entity top_k).
        relations: Int64, (n_windows, relation top_k); all -1 if relations are not annotated.
    """

    entities: IntArray
    relations: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateSource:
    """Entities and relations, and the retriever of candidates from them."""

    view: KnowledgeView
    retriever: WindowRetriever


Opener: TypeAlias = Callable[[], CandidateSource]
"""Opens the source in a worker process, with one thread."""


def find_candidates(
    examples: Sequence[Example],
    source: CandidateSource,
    *,
    top_k: tuple[int, int],
    cache: Path | None = None,
    opener: Opener | None = None,
    workers: int | None = None,
) -> FoundCandidates:
    """Retrieve the candidates of all windows.

    Args:
        examples: Windows; those of one document are consecutive and in order.
        top_k: Entities and relations per window.
        cache: File of the result, which is read if it fits. A checkpoint beside it lets an
            interrupted search resume.
        opener: Opens the source in a worker process; picklable. None for no workers.
        workers: Worker processes, 0 for this process alone; None to choose by cores and windows.
    """
    cached = _load(cache)
    if _fits(cached, len(examples), top_k):
        return FoundCandidates(cached["entities"], cached["relations"])
    chunks = list(_chunks(examples))
    found, done = _resume(cache, chunks, top_k)
    rest = [chunk for chunk in chunks if chunk[0] >= done]
    if workers is None:
        workers = _workers(len(examples) - done)
    search: AbstractContextManager[_Find] = (
        _search_in_workers(opener, workers, top_k)
        if opener and workers
        else nullcontext(lambda chunks: (_find_chunk(chunk, source, top_k) for chunk in chunks))
    )
    with told() as progress, search as find:
        parts = find(examples[first:last] for first, last in rest)
        for number, ((first, last), part) in enumerate(zip(rest, parts, strict=True), start=1):
            found.entities[first:last] = part.entities
            found.relations[first:last] = part.relations
            progress("candidates", last, len(examples))
            if cache is not None and number % _SAVE_EVERY == 0:
                _save(found, _checkpoint_file(cache), done=last)
    if cache is not None:
        _save(found, cache)
        _checkpoint_file(cache).unlink(missing_ok=True)
    return found


def open_candidate_source(base: Path, backend: str, *, threads: int = 0) -> CandidateSource:
    """Open the knowledge view and the retriever of a base bundle, as serving does.

    Args:
        backend: Backend of the encoder: "onnx", "torch" or "auto".
        threads: Threads of the encoder on ONNX Runtime, 0 for one per core.

    Raises:
        BundleError: The base cannot be used.
    """
    settings = read_pipeline(base / LAYOUT.pipeline)
    encoder = open_encoder(base, backend, threads=threads)
    return source_with(base, WindowRetriever(encoder, settings.retriever))


def source_with(base: Path, retriever: WindowRetriever) -> CandidateSource:
    """Open the knowledge view of a base bundle, for a retriever."""
    view = KnowledgeView(
        entities=KnowledgeBase.open(base / LAYOUT.entities),
        relations=KnowledgeBase.open(base / LAYOUT.relations),
    )
    return CandidateSource(view=view, retriever=retriever)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Limit the numeric libraries of processes that start inside to one thread."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _resume(
    cache: Path | None, chunks: Sequence[tuple[int, int]], top_k: tuple[int, int]
) -> tuple[FoundCandidates, int]:
    """Return the candidates of an interrupted search, and the number of windows done."""
    n_windows = chunks[-1][1] if chunks else 0
    found = _none_found(n_windows, top_k)
    cached = _load(cache and _checkpoint_file(cache))
    done = int(cached.pop("done", np.zeros(1))[0])
    if done not in {first for first, _ in chunks} or not _fits(cached, n_windows, top_k):
        return found, 0
    return FoundCandidates(cached["entities"], cached["relations"]), done


def _none_found(n_windows: int, top_k: tuple[int, int]) -> FoundCandidates:
    return FoundCandidates(*(np.full((n_windows, k), _NONE, dtype=np.int64) for k in top_k))


def _checkpoint_file(cache: Path) -> Path:
    return cache.with_suffix(".begun")


def _save(found: FoundCandidates, path: Path, done: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    tensors = {"entities": found.entities, "relations": found.relations}
    save_file(tensors if done is None else tensors | {"done": np.array([done])}, partial)
    partial.replace(path)


def _load(path: Path | None) -> dict[str, Any]:
    """Read tensors; none from a file that is missing or broken."""
    if path is None or not path.is_file():
        return {}
    try:
        cached: dict[str, Any] = load_file(path)
    except SafetensorError:
        return {}
    return cached


def _fits(cached: dict[str, Any], n_windows: int, top_k: tuple[int, int]) -> bool:
    shapes = {name: array.shape for name, array in cached.items()}
    return shapes == {"entities": (n_windows, top_k[0]), "relations": (n_windows, top_k[1])}


_Find: TypeAlias = Callable[[Iterator[Sequence[Example]]], Iterator[FoundCandidates]]


def _workers(n_windows: int) -> int:
    """Choose the number of worker processes; one core is left for this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if not cores or cores < _MIN_CORES:
        return 0
    return min(cores - 1, n_windows // _WINDOWS_PER_WORKER)


@contextmanager
def _search_in_workers(opener: Opener, workers: int, top_k: tuple[int, int]) -> Iterator[_Find]:
    # Not fork: it would copy locks that other threads hold, and not the threads.
    context = multiprocessing.get_context("spawn")
    with (
        one_thread_each(),
        ProcessPoolExecutor(
            workers, mp_context=context, initializer=partial(_open_worker, opener, top_k)
        ) as pool,
    ):
        yield lambda chunks: pool.map(_find_in_worker, chunks)


_OPENED: list[tuple[CandidateSource, tuple[int, int]]] = []
"""The source that this worker process has opened."""


def _open_worker(opener: Opener, top_k: tuple[int, int]) -> None:
    end_with_parent()
    _OPENED[:] = [(opener(), top_k)]


def _find_in_worker(examples: Sequence[Example]) -> FoundCandidates:
    ((source, top_k),) = _OPENED
    return _find_chunk(examples, source, top_k)


def _find_chunk(
    examples: Sequence[Example], source: CandidateSource, top_k: tuple[int, int]
) -> FoundCandidates:
    found = _none_found(len(examples), top_k)
    windows = [window_of(example) for example in examples]
    wanted = [k for k, example in enumerate(examples) if example.relations != "none"]
    linked, related = source.retriever.retrieve(
        windows, source.view, top_k=(top_k[0], top_k[1] if wanted else 0)
    )
    for row, candidates in zip(found.entities, linked, strict=True):
        _fill(row, source.view.entities, candidates)
    for k in wanted:
        _fill(found.relations[k], source.view.relations, related[k])
    return found


def _chunks(examples: Sequence[Example]) -> Iterator[tuple[int, int]]:
    """Split at the ends of documents, whose windows the retriever needs together."""
    first = 0
    for i in range(1, len(examples) + 1):
        ends = i == len(examples) or examples[i].doc_id != examples[i - 1].doc_id
        if ends and (i - first >= _CHUNK or i == len(examples)):
            yield first, i
            first = i


def window_of(example: Example) -> Window:
    """Return the text of an example as the retriever takes it."""
    return Window(
        doc_id=example.doc_id,
        index=example.index,
        span=Span(0, max(1, len(example.text))),
        text=example.text,
    )


def _fill(row: IntArray, kb: KnowledgeBase, candidates: Sequence[Candidate]) -> None:
    for position, candidate in enumerate(candidates):
        found = kb.row_of(candidate.entity_id)
        row[position] = _NONE if found is None else found
