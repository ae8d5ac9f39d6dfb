"""Exact inner-product search in numpy, and the ordering that every index shares."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from relik.errors import DimensionMismatchError, InputError
from relik.types import FloatArray, IntArray

# Rows beyond top_k that are proposed before exact scores decide: room for rounding and ties.
_SLACK = 16
# Most rows that are proposed to resolve ties in the last place.
_MOST_PROPOSED = 2048
# Rows and queries that are in memory at once.
_BLOCK_ROWS = 65536
_BLOCK_QUERIES = 256

Propose = Callable[[FloatArray, int], IntArray]
Reconstruct = Callable[[IntArray], FloatArray]


class ExactIndex:
    """A matrix searched row by row, against which other indexes are measured.

    Args:
        vectors: Float32, (n_rows, dim); may be memory-mapped.

    Raises:
        DimensionMismatchError: It is not a matrix.
        InputError: It is not float32.
    """

    def __init__(self, vectors: FloatArray) -> None:
        check_vectors(vectors, dim=vectors.shape[-1] if vectors.ndim else 0)
        self._vectors = vectors
        self.dim = int(vectors.shape[1])

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._vectors)

    def search(self, queries: FloatArray, *, top_k: int) -> tuple[IntArray, FloatArray]:
        """Return the best rows of each query.

        Args:
            queries: Float32, (n_queries, dim).
            top_k: Rows per query, at least 1.

        Returns:
            Rows, int64, and scores, float32, both (n_queries, min(top_k, n_rows)), best first,
            ties by row.

        Raises:
            DimensionMismatchError: The queries have another width.
            InputError: The queries are not float32, or `top_k` is less than 1.
        """
        check_vectors(queries, dim=self.dim)
        return ordered_search(
            queries,
            top_k=top_k,
            n_rows=len(self),
            propose=self._propose,
            reconstruct=self.reconstruct,
        )

    def reconstruct(self, rows: IntArray) -> FloatArray:
        """Return the vectors of rows: float32, (n, dim)."""
        return np.asarray(self._vectors[rows])

    def _propose(self, queries: FloatArray, limit: int) -> IntArray:
        best_rows = np.empty((len(queries), 0), dtype=np.int64)
        best_scores = np.empty((len(queries), 0), dtype=np.float32)
        for first in range(0, len(self), _BLOCK_ROWS):
            block = self._vectors[first : first + _BLOCK_ROWS]
            scores = np.concatenate([best_scores, queries @ block.T], axis=1)
            numbers = np.arange(first, first + len(block), dtype=np.int64)
            rows = np.concatenate(
                [best_rows, np.broadcast_to(numbers, (len(queries), len(block)))], axis=1
            )
            if scores.shape[1] > limit:
                kept = np.argpartition(-scores, limit - 1, axis=1)[:, :limit]
                scores = np.take_along_axis(scores, kept, axis=1)
                rows = np.take_along_axis(rows, kept, axis=1)
            best_rows, best_scores = rows, scores
        return best_rows  # (n_queries, limit)


def ordered_search(
    queries: FloatArray, *, top_k: int, n_rows: int, propose: Propose, reconstruct: Reconstruct
) -> tuple[IntArray, FloatArray]:
    """Score proposed rows exactly and order them, so that answers do not depend on the batch.

    Matrix products round differently for different batch sizes. Here they only propose a few more
    rows than asked for; each pair of query and row is then scored alone.

    Args:
        queries: Float32, (n_queries, dim).
        top_k: Rows per query, at least 1.
        propose: Takes queries and a limit, returns that many rows for each; -1 means no row.

    Returns:
        Rows, int64, and scores, float32, both (n_queries, min(top_k, n_rows)), best first, ties
        by row.

    Raises:
        InputError: `top_k` is less than 1.
    """
    if top_k < 1:
        raise InputError(f"got top_k {top_k}, expected at least 1: ask for one row or more")
    k = min(top_k, n_rows)
    rows = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    if k == 0:
        return rows, scores
    for first in range(0, len(queries), _BLOCK_QUERIES):
        pending = np.arange(first, min(first + _BLOCK_QUERIES, len(queries)))
        limit = min(n_rows, k + _SLACK)
        while len(pending):
            proposed = _fill_missing(propose(queries[pending], limit), n_rows)
            proposed, values = _score(queries[pending], proposed, reconstruct)
            rows[pending], scores[pending] = proposed[:, :k], values[:, :k]
            if limit >= min(n_rows, max(k + _SLACK, _MOST_PROPOSED)):
                break
            # A tie that reaches from place k to the last proposal may go on beyond it.
            pending = pending[values[:, k - 1] == values[:, -1]]
            limit = min(n_rows, limit * 4)
    return rows, scores


def check_vectors(vectors: NDArray[np.generic], *, dim: int) -> None:
    """Refuse vectors of another width or type.

    Raises:
        DimensionMismatchError: They are not (n, dim).
        InputError: They are not float32.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise DimensionMismatchError(
            f"got vectors of shape {vectors.shape}, expected (n, {dim}): "
            "use the encoder that the index was built with"
        )
    if vectors.dtype != np.float32:
        raise InputError(f"got vectors of type {vectors.dtype}, expected float32: convert them")


def _fill_missing(rows: IntArray, n_rows: int) -> IntArray:
    """Fill places that an approximate index left empty with the lowest rows not proposed."""
    incomplete = np.flatnonzero((rows < 0).any(axis=1))
    for query in incomplete:
        missing = np.flatnonzero(rows[query] < 0)
        spare = np.setdiff1d(np.arange(min(n_rows, rows.shape[1])), rows[query])
        rows[query, missing] = spare[: len(missing)]
    return rows


def _score(
    queries: FloatArray, rows: IntArray, reconstruct: Reconstruct
) -> tuple[IntArray, FloatArray]:
    vectors = reconstruct(rows.ravel()).reshape(*rows.shape, -1)  # (n_queries, limit, dim)
    exact = np.einsum("qkd,qd->qk", vectors, queries, dtype=np.float64)
    scores = exact.astype(np.float32)
    order = np.lexsort((rows, -scores))
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
