"""What a search of documents is given and gives back, whatever keeps the vectors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from relik.errors import DimensionMismatchError, InputError
from relik.types import FloatArray
from relik.upstream.documents import Document


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """A document that a query found.

    Args:
        document: The document.
        score: Inner product of query and document; any number.
        row: Its row in the index; two are equal wherever they were found.
    """

    document: Document
    score: float
    row: int = field(compare=False)


def fit_queries(queries: FloatArray, *, dim: int, top_k: int, narrow: bool) -> FloatArray:
    """Check what is asked of an index, and bring it to the width of its vectors.

    Args:
        queries: Float32, (n_queries, width).
        dim: Width of the vectors of the index.
        top_k: Documents per query.
        narrow: Let the first dimensions of wider queries count.

    Returns:
        Float32, (n_queries, dim).

    Raises:
        DimensionMismatchError: The queries have another width.
        InputError: `top_k` is less than 1.
    """
    if top_k < 1:
        raise InputError(f"got top_k {top_k}, expected at least 1: raise it, or give candidates")
    width = queries.shape[1] if queries.ndim == 2 else 0
    if width > dim and narrow:
        return np.ascontiguousarray(queries[:, :dim])
    if width != dim:
        raise DimensionMismatchError(
            f"got queries of shape {queries.shape}, expected (n, {dim}): use the encoder "
            "that the index was built with, or, for an index of the first dimensions of a "
            "wider encoder, index_kwargs={'matryoshka': True}"
        )
    return queries


def read_found(
    read: Callable[[int], Document], found: Sequence[Sequence[tuple[int, float]]]
) -> list[list[FoundDocument]]:
    """Read the documents that queries found, each once however many queries found it.

    Args:
        read: Reads the document of a row.
        found: Rows and scores of each query.

    Returns:
        The documents of each query, in the same order.
    """
    documents = {row: read(row) for row in sorted({row for line in found for row, _ in line})}
    return [[FoundDocument(documents[row], score, row) for row, score in line] for line in found]
