"""Writes vectors as the flat FAISS index that they are, block by block.

FAISS itself builds an index in memory and then writes it: six million vectors need many gigabytes
to become a file that is mapped. A flat index is a header and the vectors, and the header is what
FAISS writes for an index of no rows, with two numbers changed.
"""

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from relik.errors import BundleCorruptError, InferenceError
from relik.retriever.faiss_index import FaissIndex, write_faiss
from relik.types import FloatArray

# Where the header has the number of rows, and at its end that of floats.
_ROWS_AT, _FLOATS_FROM_END = 8, 8


def write_flat(blocks: Iterable[FloatArray], path: Path, *, rows: int, dim: int) -> None:
    """Write vectors for exact search.

    Args:
        blocks: Float32, (n, dim) each, in the order of the rows.
        path: The file.
        rows: How many there are in all.
        dim: Width.

    Raises:
        BundleCorruptError: The blocks have another number of rows, or a vector is not finite.
        InferenceError: This release of FAISS has another format.
    """
    write_faiss(np.empty((0, dim), dtype=np.float32), path, kind="exact")
    header = bytearray(path.read_bytes())
    struct.pack_into("<q", header, _ROWS_AT, rows)
    struct.pack_into("<Q", header, len(header) - _FLOATS_FROM_END, rows * dim)
    written = 0
    last: FloatArray = np.empty((0, dim), dtype=np.float32)
    with path.open("wb") as file:
        file.write(header)
        for block in blocks:
            if not np.isfinite(block).all():
                at = written + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
                raise BundleCorruptError(
                    f"got a vector of row {at} that is not finite, expected numbers: make the "
                    "index again"
                )
            file.write(np.ascontiguousarray(block, dtype="<f4").tobytes())
            written += len(block)
            last = block[-1:]
    if written != rows:
        raise BundleCorruptError(f"got {written} vectors, expected {rows}: make the index again")
    _check(path, last, rows=rows, dim=dim)


def _check(path: Path, last: FloatArray, *, rows: int, dim: int) -> None:
    """Read back what was written: the last row lies where only a right header has it."""
    try:
        index = FaissIndex.open(path)
        found = index.reconstruct(np.array([rows - 1], dtype=np.int64)) if rows else last
        same = (len(index), index.dim) == (rows, dim) and np.array_equal(found, last)
    except BundleCorruptError:
        same = False
    if not same:
        raise InferenceError(
            f"{path}: FAISS does not read what was written: use a release of faiss-cpu that "
            "relik-server was tested with"
        )
