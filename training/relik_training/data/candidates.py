"""The candidates of every training window, retrieved once as serving retrieves them.

A window at a time keeps few cores busy, and names are looked up by one: where there are many cores,
processes share the windows.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
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

# What OpenMP, OpenBLAS and MKL read when they are loaded.
_READ = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_CHUNK = 64
_KEEP_EVERY = 20
"""Chunks between two times that what was found is kept: about a minute on two cores."""
_NONE = -1
# A process takes seconds to open the indexes; two cores are as busy with one.
_LEAST_CORES = 4
_WINDOWS_PER_WORKER = 300


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Have the libraries of processes that are begun meanwhile compute with one thread."""
    before = {name: os.environ.get(name) for name in _READ}
    os.environ.update(dict.fromkeys(_READ, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@dataclass(frozen=True, slots=True)
class FoundCandidates:
    """Rows of candidates, best first, -1 where there are fewer.

    Args:
        entities: Int64, (n_windows, entity top_k).
        relations: Int64, (n_windows, relation top_k); all -1 where relations are not annotated.
    """

    entities: IntArray
    relations: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateSource:
    """Where candidates come from.

    Args:
        view: Entities and relations.
        retriever: Proposes from them.
    """

    view: KnowledgeView
    retriever: WindowRetriever


Opener: TypeAlias = Callable[[], CandidateSource]
"""Opens the source anew, with one thread, in a process of its own."""


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
        examples: Windows; those of one document stand together, in order.
        source: Knowledge and its retriever.
        top_k: Entities and relations per window.
        cache: File to keep the answer in; one that fits is read instead. What is found is kept
            beside it now and then, and a search that was stopped goes on from there.
        opener: Opens the same in other processes; can be pickled. None keeps to this process.
        workers: Processes, 0 for this one alone; None chooses by the cores and the windows.

    Returns:
        The candidates.
    """
    held = _read(cache, len(examples), top_k)
    if held is not None:
        return held
    chunks = list(_chunks(examples))
    found, done = _begun(cache, chunks, top_k)
    rest = [chunk for chunk in chunks if chunk[0] >= done]
    if workers is None:
        workers = _workers(len(examples) - done)
    finding = (
        _found_by(opener, workers, top_k) if opener and workers else _found_here(source, top_k)
    )
    with told() as tell, finding as find:
        parts = find(examples[first:last] for first, last in rest)
        for number, ((first, last), part) in enumerate(zip(rest, parts, strict=True), start=1):
            found.entities[first:last] = part.entities
            found.relations[first:last] = part.relations
            tell("candidates", last, len(examples))
            if cache is not None and number % _KEEP_EVERY == 0:
                _keep(found, _begun_file(cache), done=last)
    if cache is not None:
        _keep(found, cache)
        _begun_file(cache).unlink(missing_ok=True)
    return found


def _begun(
    cache: Path | None, chunks: Sequence[tuple[int, int]], top_k: tuple[int, int]
) -> tuple[FoundCandidates, int]:
    """Give what a search that was stopped had found, and how many windows those are."""
    n_windows = chunks[-1][1] if chunks else 0
    found = FoundCandidates(
        np.full((n_windows, top_k[0]), _NONE, dtype=np.int64),
        np.full((n_windows, top_k[1]), _NONE, dtype=np.int64),
    )
    held = {} if cache is None else _load(_begun_file(cache))
    done = int(held.pop("done", np.zeros(1))[0])
    if done not in {first for first, _ in chunks} or not _fits(held, n_windows, top_k):
        return found, 0
    return FoundCandidates(held["entities"], held["relations"]), done


def _begun_file(cache: Path) -> Path:
    return cache.with_suffix(".begun")


def _keep(found: FoundCandidates, path: Path, done: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    tensors = {"entities": found.entities, "relations": found.relations}
    save_file(tensors if done is None else tensors | {"done": np.array([done])}, partial)
    partial.replace(path)


def _read(cache: Path | None, n_windows: int, top_k: tuple[int, int]) -> FoundCandidates | None:
    held = {} if cache is None else _load(cache)
    if not _fits(held, n_windows, top_k):
        return None
    return FoundCandidates(held["entities"], held["relations"])


def _load(path: Path) -> dict[str, Any]:
    """Read tensors; a file that is not there, or is none, has none."""
    if not path.is_file():
        return {}
    try:
        held: dict[str, Any] = load_file(path)
    except SafetensorError:
        return {}
    return held


def _fits(held: dict[str, Any], n_windows: int, top_k: tuple[int, int]) -> bool:
    shapes = {name: array.shape for name, array in held.items()}
    return shapes == {"entities": (n_windows, top_k[0]), "relations": (n_windows, top_k[1])}


_Find: TypeAlias = Callable[[Iterator[Sequence[Example]]], Iterator[FoundCandidates]]


def _workers(n_windows: int) -> int:
    """Choose how many processes share the windows; one core is left to this one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if not cores or cores < _LEAST_CORES:
        return 0
    return min(cores - 1, n_windows // _WINDOWS_PER_WORKER)


@contextmanager
def _found_here(source: CandidateSource, top_k: tuple[int, int]) -> Iterator[_Find]:
    yield lambda chunks: (_of_chunk(chunk, source, top_k) for chunk in chunks)


@contextmanager
def _found_by(opener: Opener, workers: int, top_k: tuple[int, int]) -> Iterator[_Find]:
    # Threads of this process, which a fork would lack, hold locks that it would have.
    context = multiprocessing.get_context("spawn")
    with (
        one_thread_each(),
        ProcessPoolExecutor(
            workers, mp_context=context, initializer=partial(_begin, opener, top_k)
        ) as pool,
    ):
        yield lambda chunks: pool.map(_of_worker, chunks)


_OPENED: list[tuple[CandidateSource, tuple[int, int]]] = []
"""What a worker has opened."""


def _begin(opener: Opener, top_k: tuple[int, int]) -> None:
    end_with_parent()
    _OPENED[:] = [(opener(), top_k)]


def _of_worker(examples: Sequence[Example]) -> FoundCandidates:
    ((source, top_k),) = _OPENED
    return _of_chunk(examples, source, top_k)


def _of_chunk(
    examples: Sequence[Example], source: CandidateSource, top_k: tuple[int, int]
) -> FoundCandidates:
    found = FoundCandidates(
        np.full((len(examples), top_k[0]), _NONE, dtype=np.int64),
        np.full((len(examples), top_k[1]), _NONE, dtype=np.int64),
    )
    windows = [_window(example) for example in examples]
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


def open_candidate_source(base: Path, backend: str, *, threads: int = 0) -> CandidateSource:
    """Open the knowledge and the retriever of a base bundle, as serving does.

    Args:
        base: Base bundle.
        backend: Of the encoder: "onnx", "torch" or "auto".
        threads: Threads of the encoder on ONNX Runtime, 0 for one per core.

    Raises:
        BundleError: The base cannot be used.
    """
    settings = read_pipeline(base / LAYOUT.pipeline)
    view = KnowledgeView(
        entities=KnowledgeBase.open(base / LAYOUT.entities),
        relations=KnowledgeBase.open(base / LAYOUT.relations),
    )
    encoder = open_encoder(base, backend, threads=threads)
    return CandidateSource(view=view, retriever=WindowRetriever(encoder, settings.retriever))
