"""The place of vectors in a knowledge index of records that are all given to every window."""

from relik.errors import BundleError
from relik.types import FloatArray, IntArray

NO_VECTORS = "none"
"""What the manifest of such an index says of its vectors."""


class NoVectors:
    """Rows without vectors: there is nothing to search by.

    Args:
        n_rows: How many rows there are.
    """

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows

    @property
    def dim(self) -> int:
        """Width of the vectors: none."""
        return 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._n_rows

    def search(self, queries: FloatArray, *, top_k: int) -> tuple[IntArray, FloatArray]:
        """Refuse to search.

        Args:
            queries: Any.
            top_k: Any.

        Raises:
            BundleError: Always.
        """
        raise BundleError(
            f"got {len(queries)} queries for the best {top_k} of {self._n_rows} records that have "
            "no vectors: give all of them, or build the index with an encoder"
        )

    def reconstruct(self, rows: IntArray) -> FloatArray:
        """Refuse to give vectors.

        Args:
            rows: Int64, (n,).

        Raises:
            BundleError: Always.
        """
        raise BundleError(
            f"got a request for the vectors of {len(rows)} records that have none: build the index "
            "with an encoder"
        )
