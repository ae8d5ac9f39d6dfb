"""The vector index of a knowledge index without vectors, all of whose records are candidates."""

from relik.errors import BundleError
from relik.types import FloatArray, IntArray

NO_VECTORS = "none"
"""The kind of vectors in the manifest of an index without vectors."""


class NoVectors:
    """Rows without vectors, which cannot be searched."""

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows
        self.dim = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._n_rows

    def search(self, queries: FloatArray, *, top_k: int) -> tuple[IntArray, FloatArray]:
        """Refuse to search.

        Raises:
            BundleError: Always.
        """
        raise BundleError(
            f"got {len(queries)} queries for the best {top_k} of {self._n_rows} records, expected "
            "none, since the index has no vectors: propose all records, or build the index with "
            "an encoder"
        )

    def reconstruct(self, rows: IntArray) -> FloatArray:
        """Refuse to return vectors.

        Raises:
            BundleError: Always.
        """
        raise BundleError(
            f"got {len(rows)} rows, expected none, since the index has no vectors: build it with "
            "an encoder"
        )
