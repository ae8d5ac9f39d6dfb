"""The FAISS index: kinds of vector storage, building and searching."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import faiss
import numpy as np

from relik.errors import BundleCorruptError, BundleError, ConfigError
from relik.types import FloatArray, IntArray
from relik.vectors.exact import check_vectors, ordered_search

VectorKind: TypeAlias = Literal["exact", "sq8", "pq24", "pq32", "pq48", "pq64", "hnsw", "ivf"]
VECTOR_KINDS: tuple[VectorKind, ...] = get_args(VectorKind)

_SEED = 20240801
_TRAINING_ROWS = 65536
_ADDED_ROWS = 65536
# Fewer rows than this cannot train the kind, and exact search of them is as fast.
_LEAST_ROWS: dict[VectorKind, int] = {"exact": 0, "sq8": 256, "hnsw": 256}
_LEAST_OTHER_ROWS = 1024
_OPQ_ROUNDS = 10
_HNSW_LINKS = 32
_HNSW_CONSTRUCTION = 200
_HNSW_SEARCH = 256
# The first flag that faiss has: newer releases map every kind of index, older only inverted lists.
_MAP_FLAGS = ("IO_FLAG_MMAP_IFC", "IO_FLAG_MMAP")


class FaissIndex:
    """Vectors in a FAISS index, searched by inner product.

    Args:
        index: A FAISS index whose rows can be reconstructed.
    """

    def __init__(self, index: faiss.Index) -> None:
        self._index = index
        self.dim = int(index.d)

    @classmethod
    def open(cls, path: Path) -> "FaissIndex":
        """Map an index that was built.

        Raises:
            BundleCorruptError: The file is missing or is not a FAISS index.
        """
        flags = next(getattr(faiss, name) for name in _MAP_FLAGS if hasattr(faiss, name))
        try:
            return cls(faiss.read_index(str(path), flags))
        except RuntimeError as error:
            raise BundleCorruptError(
                f"{path}: is not a FAISS index: fetch or build it again"
            ) from error

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._index.ntotal)

    def search(self, queries: FloatArray, *, top_k: int) -> tuple[IntArray, FloatArray]:
        """Return the best rows of each query.

        Args:
            queries: Float32, (n_queries, dim).
            top_k: Rows per query, at least 1.

        Returns:
            Rows, int64, and scores, float32, both (n_queries, min(top_k, n_rows)), best first,
            ties by row. Scores are inner products with the stored, perhaps quantised, vectors.

        Raises:
            DimensionMismatchError: The queries have another width.
            InputError: The queries are not float32, or `top_k` is less than 1.
        """
        check_vectors(queries, dim=self.dim)
        return ordered_search(
            np.ascontiguousarray(queries),
            top_k=top_k,
            n_rows=len(self),
            propose=self._propose,
            reconstruct=self.reconstruct,
        )

    def reconstruct(self, rows: IntArray) -> FloatArray:
        """Return the stored vectors of rows: float32, (n, dim), approximate where quantised."""
        if not len(rows):
            return np.empty((0, self.dim), dtype=np.float32)
        vectors: FloatArray = self._index.reconstruct_batch(np.ascontiguousarray(rows))
        return vectors

    def _propose(self, queries: FloatArray, limit: int) -> IntArray:
        rows: IntArray = self._index.search(queries, limit)[1]
        return rows


def trainable_kind(kind: VectorKind, *, n_rows: int) -> VectorKind:
    """Return the kind, or "exact" where there are too few rows to train it."""
    return kind if n_rows >= _LEAST_ROWS.get(kind, _LEAST_OTHER_ROWS) else "exact"


def write_faiss(
    vectors: FloatArray,
    path: Path,
    *,
    kind: VectorKind,
    opq: bool = False,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Build a FAISS index of vectors and write it to a file; the same vectors give the same file.

    Args:
        vectors: Float32, (n_rows, dim); may be memory-mapped.
        opq: Rotate vectors first, so that product quantisation loses less (Ge et al. 2013).
        progress: Called with the number of rows added so far.

    Raises:
        ConfigError: The width does not fit the kind, or the kind does not support `opq`.
        BundleError: The file cannot be written.
    """
    index = _new_index(kind, dim=vectors.shape[1], n_rows=len(vectors), opq=opq)
    threads = faiss.omp_get_max_threads()
    try:
        # K-means of a few dimensions spends more on waking threads than on work, and the links
        # of HNSW depend on the order of threads.
        faiss.omp_set_num_threads(1)
        if not index.is_trained:
            index.train(_sample(vectors))
        if kind != "hnsw":
            faiss.omp_set_num_threads(threads)
        for first in range(0, len(vectors), _ADDED_ROWS):
            index.add(np.ascontiguousarray(vectors[first : first + _ADDED_ROWS]))
            if progress is not None:
                progress(int(index.ntotal))
    finally:
        faiss.omp_set_num_threads(threads)
    if kind == "ivf":
        index.make_direct_map()
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise BundleError(
            f"{path}: cannot be written: check the free space and the permissions"
        ) from error


def _new_index(kind: VectorKind, *, dim: int, n_rows: int, opq: bool) -> faiss.Index:
    metric = faiss.METRIC_INNER_PRODUCT
    if opq and not kind.startswith("pq"):
        raise ConfigError(f"got opq with {kind} vectors, expected pq32, pq48 or pq64: choose one")
    if kind == "exact":
        return faiss.IndexFlatIP(dim)
    if kind == "sq8":
        return faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_8bit, metric)
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dim, _HNSW_LINKS, metric)
        index.hnsw.efConstruction = _HNSW_CONSTRUCTION
        index.hnsw.efSearch = _HNSW_SEARCH
        return index
    if kind == "ivf":
        return _new_ivf(dim, n_rows)
    return _new_pq(dim, parts=int(kind.removeprefix("pq")), opq=opq)


def _new_ivf(dim: int, n_rows: int) -> faiss.Index:
    # K-means needs about 39 training rows per list; a search probes a sixteenth of the lists.
    lists = max(1, min(int(4 * math.sqrt(n_rows)), min(n_rows, _TRAINING_ROWS) // 39))
    quantizer = faiss.IndexFlatIP(dim)
    index = faiss.IndexIVFFlat(quantizer, dim, lists, faiss.METRIC_INNER_PRODUCT)
    quantizer.this.disown()
    index.own_fields = True
    index.nprobe = max(8, lists // 16)
    index.cp.seed = _SEED
    return index


def _new_pq(dim: int, *, parts: int, opq: bool) -> faiss.Index:
    if dim % parts:
        raise ConfigError(
            f"got pq{parts} for vectors of {dim} dimensions, expected a width that {parts} "
            "divides: choose another kind, such as sq8"
        )
    index = faiss.IndexPQ(dim, parts, 8, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.seed = _SEED
    # Small knowledge bases are quantised on purpose; the recall receipt states the loss.
    index.pq.cp.min_points_per_centroid = 1
    if not opq:
        return index
    rotation = faiss.OPQMatrix(dim, parts)
    rotation.pq = index.pq
    rotation.niter = _OPQ_ROUNDS
    rotated = faiss.IndexPreTransform(rotation, index)
    rotation.this.disown()
    index.this.disown()
    rotated.own_fields = True
    return rotated


def _sample(vectors: FloatArray) -> FloatArray:
    if len(vectors) <= _TRAINING_ROWS:
        return np.ascontiguousarray(vectors)
    chosen = np.random.default_rng(_SEED).choice(len(vectors), _TRAINING_ROWS, replace=False)
    return np.ascontiguousarray(vectors[np.sort(chosen)])
