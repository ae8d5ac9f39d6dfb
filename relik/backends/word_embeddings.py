"""The table of word embeddings that encoder and reader share, stored as int8."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relik.backends.tensors import TensorFile, dequantise, quantise
from relik.errors import BundleCorruptError
from relik.types import FloatArray, IntArray

WEIGHT, SCALE, MARKERS = "weight", "scale", "markers"


@dataclass(frozen=True, slots=True, kw_only=True)
class WordEmbeddings:
    """A quantised table; rows become float32 when they are looked up.

    Args:
        weight: Int8, (vocabulary, hidden).
        scale: Float16, (vocabulary,).
    """

    weight: NDArray[np.int8]
    scale: NDArray[np.float16]

    @classmethod
    def open(cls, path: Path) -> "WordEmbeddings":
        """Map the table in a safetensors file.

        Raises:
            BundleNotFoundError: There is no such file.
            BundleCorruptError: It holds no such table.
        """
        tensors = TensorFile.open(path)
        weight, scale = tensors[WEIGHT], tensors[SCALE]
        types = f"{weight.dtype} and {scale.dtype}"
        fits = weight.ndim == 2 and scale.shape == weight.shape[:1]
        if types != "int8 and float16" or not fits:
            raise BundleCorruptError(
                f"{path}: got {types} of shapes {weight.shape} and {scale.shape}, expected "
                "int8 (vocabulary, hidden) and float16 (vocabulary,): fetch or build it again"
            )
        return cls(weight=weight.view(np.int8), scale=scale.view(np.float16))

    @property
    def hidden(self) -> int:
        """Width of a row."""
        return int(self.weight.shape[1])

    def __len__(self) -> int:
        """Return the size of the vocabulary."""
        return len(self.weight)

    def lookup(self, ids: IntArray) -> FloatArray:
        """Return the embeddings of tokens: float32, (..., hidden).

        Args:
            ids: Int64, of any shape, each below the size of the vocabulary.
        """
        rows = self.weight[ids].astype(np.float32)
        rows *= self.scale[ids].astype(np.float32)[..., np.newaxis]
        return rows

    def lookup_with_markers(self, ids: IntArray, markers: FloatArray) -> FloatArray:
        """Return the embeddings of tokens and markers: float32, (..., hidden).

        Args:
            ids: Int64, of any shape; `len(self) + k` is marker k.
            markers: Float32, (n_markers, hidden).
        """
        n_words = len(self)
        is_marker = ids >= n_words
        rows = self.lookup(np.where(is_marker, 0, ids))
        rows[is_marker] = markers[ids[is_marker] - n_words]
        return rows

    def dense(self) -> FloatArray:
        """Return the whole table: float32, (vocabulary, hidden)."""
        return dequantise(self.weight, self.scale[:, np.newaxis])


def quantise_table(table: FloatArray) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Quantise a table with one scale per row.

    Args:
        table: Float32, (vocabulary, hidden).

    Returns:
        Int8, (vocabulary, hidden), and float16 scales, (vocabulary,).
    """
    weight, scale = quantise(table, block=table.shape[1])
    return weight, scale[:, 0]


def open_markers(path: Path) -> FloatArray:
    """Read the trained embeddings of a reader's markers: float32, (n_markers, hidden).

    Raises:
        BundleNotFoundError: There is no such file.
        BundleCorruptError: It has no markers.
    """
    return TensorFile.open(path).float32(MARKERS)
