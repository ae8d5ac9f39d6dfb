"""The exact and the FAISS index keep one protocol."""

from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.errors import BundleCorruptError, ConfigError, DimensionMismatchError, InputError
from relik.types import FloatArray, VectorIndex
from relik.vectors.exact import ExactIndex
from relik.vectors.faiss_index import FaissIndex, VectorKind, trainable_kind, write_faiss

DIM = 32
Open = Callable[[FloatArray], VectorIndex]


def _vectors(count: int, *, seed: int = 0) -> FloatArray:
    made = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def _faiss(vectors: FloatArray, path: Path, kind: VectorKind = "exact") -> FaissIndex:
    write_faiss(vectors, path, kind=kind)
    return FaissIndex.open(path)


@pytest.fixture(params=["numpy", "faiss"])
def open_exact(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "numpy":
        return ExactIndex
    return lambda vectors: _faiss(vectors, tmp_path / "v.faiss")


def test_search_is_a_stable_sort_by_inner_product(open_exact: Open) -> None:
    vectors, queries = _vectors(300), _vectors(7, seed=1)
    rows, scores = open_exact(vectors).search(queries, top_k=20)
    exact = queries.astype(np.float64) @ vectors.astype(np.float64).T
    np.testing.assert_array_equal(rows, np.argsort(-exact, axis=1, kind="stable")[:, :20])
    np.testing.assert_allclose(scores, -np.sort(-exact, axis=1)[:, :20], atol=1e-6)
    assert rows.dtype == np.int64
    assert scores.dtype == np.float32


def test_ties_are_ordered_by_row(open_exact: Open) -> None:
    vectors = np.concatenate([_vectors(3), np.repeat(_vectors(1, seed=5), 200, axis=0)])
    rows, _ = open_exact(vectors).search(vectors[-1:], top_k=5)
    assert rows.tolist() == [[3, 4, 5, 6, 7]]


def test_top_k_is_clipped_and_empty_batches_are_answered(open_exact: Open) -> None:
    index = open_exact(_vectors(4))
    assert len(index) == 4
    assert index.dim == DIM
    rows, scores = index.search(_vectors(2), top_k=9)
    assert rows.shape == scores.shape == (2, 4)
    assert sorted(rows[0].tolist()) == [0, 1, 2, 3]
    rows, scores = index.search(_vectors(0), top_k=9)
    assert rows.shape == scores.shape == (0, 4)
    assert index.reconstruct(np.empty(0, dtype=np.int64)).shape == (0, DIM)


def test_what_does_not_fit_is_refused(open_exact: Open) -> None:
    index = open_exact(_vectors(4))
    with pytest.raises(DimensionMismatchError, match=r"\(2, 31\), expected \(n, 32\)"):
        index.search(np.zeros((2, 31), dtype=np.float32), top_k=1)
    with pytest.raises(DimensionMismatchError):
        index.search(np.zeros(DIM, dtype=np.float32), top_k=1)
    with pytest.raises(InputError, match="float32"):
        index.search(np.zeros((2, DIM)), top_k=1)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(InputError, match="top_k 0"):
        index.search(_vectors(1), top_k=0)


def test_an_index_without_rows_finds_nothing() -> None:
    rows, scores = ExactIndex(_vectors(0)).search(_vectors(2), top_k=3)
    assert rows.shape == scores.shape == (2, 0)


@given(st.integers(1, 60), st.integers(1, 40), st.integers(0, 1000))
def test_numpy_and_faiss_agree_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, n_rows: int, top_k: int, seed: int
) -> None:
    vectors, queries = _vectors(n_rows, seed=seed), _vectors(3, seed=seed + 1)
    path = tmp_path_factory.mktemp("index") / "v.faiss"
    for mine, theirs in zip(
        ExactIndex(vectors).search(queries, top_k=top_k),
        _faiss(vectors, path).search(queries, top_k=top_k),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("kind", ["exact", "sq8", "hnsw", "ivf"])
def test_neither_batch_nor_threads_change_an_answer(tmp_path: Path, kind: VectorKind) -> None:
    vectors, queries = _vectors(1100), _vectors(24, seed=1)
    index = _faiss(vectors, tmp_path / "v.faiss", kind)
    rows, scores = index.search(queries, top_k=10)
    for at, query in enumerate(queries):
        alone_rows, alone_scores = index.search(query[None], top_k=10)
        np.testing.assert_array_equal(alone_rows[0], rows[at])
        np.testing.assert_array_equal(alone_scores[0], scores[at])
    threads = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(1)
        np.testing.assert_array_equal(index.search(queries, top_k=10)[1], scores)
    finally:
        faiss.omp_set_num_threads(threads)


@pytest.mark.parametrize("kind", ["sq8", "hnsw", "ivf"])
def test_approximate_kinds_find_most_and_always_enough(tmp_path: Path, kind: VectorKind) -> None:
    vectors = _vectors(1100)
    index = _faiss(vectors, tmp_path / "v.faiss", kind)
    rows, _ = index.search(vectors[:50], top_k=1)
    assert (rows[:, 0] == np.arange(50)).mean() >= 0.9
    rows, scores = index.search(vectors[:1], top_k=5000)
    assert sorted(rows[0].tolist()) == list(range(1100))
    assert (np.diff(scores[0]) <= 0).all()
    np.testing.assert_allclose(index.reconstruct(rows[0]), vectors[rows[0]], atol=0.05)


@pytest.mark.parametrize("opq", [False, True])
def test_product_quantisation_is_small_and_repeatable(tmp_path: Path, opq: bool) -> None:
    vectors = _vectors(1024)
    write_faiss(vectors, tmp_path / "a", kind="pq32", opq=opq)
    if not opq:
        write_faiss(vectors, tmp_path / "b", kind="pq32")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    index = FaissIndex.open(tmp_path / "a")
    rows, _ = index.search(vectors[:50], top_k=1)
    assert (rows[:, 0] == np.arange(50)).mean() >= 0.9


def test_few_rows_are_kept_exact() -> None:
    assert trainable_kind("pq64", n_rows=1023) == "exact"
    assert trainable_kind("pq64", n_rows=1024) == "pq64"
    assert trainable_kind("exact", n_rows=0) == "exact"


def test_kinds_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pq48 for vectors of 32"):
        write_faiss(_vectors(2000), tmp_path / "v", kind="pq48")
    with pytest.raises(ConfigError, match="opq with sq8"):
        write_faiss(_vectors(2000), tmp_path / "v", kind="sq8", opq=True)


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(b"no index")
    with pytest.raises(BundleCorruptError, match="not a FAISS index"):
        FaissIndex.open(tmp_path / "v")
