"""Memory-mapped tensors of a safetensors file, and int8 quantisation of large matrices.

Both backends use one file of weights: torch reads tensors by name, the ONNX graphs refer to the
same bytes by offset. A matrix NAME (out, in) may be stored as int8 with NAME.scale, float16,
(out, in / block): each block of weights of one output shares a scale.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relik.errors import BundleCorruptError, BundleNotFoundError
from relik.types import FloatArray

SCALE = ".scale"

_DTYPES: dict[str, np.dtype[np.generic]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
}
_MAX_HEADER = 1 << 24
# A smaller scale would lose precision as float16, and division by zero fails.
_LEAST_SCALE = np.float32(np.finfo(np.float16).tiny)


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """Where a tensor lies in its file.

    Args:
        dtype: Element type, little-endian.
        offset: First byte, from the start of the file.
    """

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    offset: int
    n_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFile(Mapping[str, NDArray[np.generic]]):
    """The tensors of a safetensors file by name, as views of the mapped file."""

    path: Path
    entries: Mapping[str, TensorEntry]
    data: NDArray[np.uint8]

    @classmethod
    def open(cls, path: Path) -> "TensorFile":
        """Map a file.

        Raises:
            BundleNotFoundError: There is no such file.
            BundleCorruptError: It is not a safetensors file, or is cut short.
        """
        try:
            data = np.memmap(path, dtype=np.uint8, mode="r")
        except FileNotFoundError as error:
            raise BundleNotFoundError(
                f"{path}: is missing, expected the weights of a model: fetch or build it again"
            ) from error
        except (OSError, ValueError) as error:  # ValueError is how an empty file is reported.
            raise BundleCorruptError(
                f"{path}: cannot be mapped ({error}): fetch or build it again"
            ) from error
        try:
            entries = _read_header(data)
        except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
            raise BundleCorruptError(
                f"{path}: is not a safetensors file ({error!r}): fetch or build it again"
            ) from error
        return cls(path=path, entries=entries, data=data)

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        entry = self.entries.get(name)
        if entry is None:
            raise BundleCorruptError(
                f"{self.path}: has no tensor {name!r}, expected one: fetch or build it again"
            )
        raw = self.data[entry.offset : entry.offset + entry.n_bytes]
        return raw.view(entry.dtype).reshape(entry.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def float32(self, name: str) -> FloatArray:
        """Copy one tensor as float32, dequantised where it was quantised.

        Raises:
            BundleCorruptError: There is no such tensor, or its scale does not fit.
        """
        if name + SCALE not in self.entries:
            return self[name].astype(np.float32)
        values, scale = self[name], self[name + SCALE]
        fits = values.ndim == scale.ndim == 2 and len(values) == len(scale)
        if not fits or not scale.shape[1] or values.shape[1] % scale.shape[1]:
            raise BundleCorruptError(
                f"{self.path}: got {name} {values.shape} with scales {scale.shape}, expected "
                "(out, in) with (out, in / block): build it again"
            )
        return dequantise(values.astype(np.int8, copy=False), scale.astype(np.float16, copy=False))

    def weights(self) -> dict[str, FloatArray]:
        """Copy every tensor but the scales as float32, by name.

        Raises:
            BundleCorruptError: A scale does not fit its matrix.
        """
        return {name: self.float32(name) for name in self if not name.endswith(SCALE)}


def quantise(
    matrix: FloatArray, *, block: int = 32
) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Store a matrix as int8 with a scale per block of each row.

    Args:
        matrix: Float32, (out, in).
        block: Most weights that share a scale; the largest divisor of `in` up to it is used.

    Returns:
        Int8, (out, in), and float16 scales, (out, in / block).
    """
    rows, width = matrix.shape
    block = next(size for size in range(min(block, width), 0, -1) if width % size == 0)
    blocks = matrix.reshape(rows, width // block, block)
    scale = np.maximum(np.abs(blocks).max(axis=2) / np.float32(127), _LEAST_SCALE)
    stored = scale.astype(np.float16)
    # Round with the stored scale, so that its own rounding adds no error.
    steps = np.rint(blocks / stored.astype(np.float32)[:, :, np.newaxis])
    return np.clip(steps, -127, 127).astype(np.int8).reshape(rows, width), stored


def dequantise(values: NDArray[np.int8], scale: NDArray[np.float16]) -> FloatArray:
    """Undo `quantise`: float32, (out, in), each weight off by at most half its scale."""
    rows, width = values.shape
    blocks = values.reshape(rows, scale.shape[1], -1).astype(np.float32)
    blocks *= scale.astype(np.float32)[:, :, np.newaxis]
    return blocks.reshape(rows, width)


def _read_header(data: NDArray[np.uint8]) -> dict[str, TensorEntry]:
    (length,) = struct.unpack("<Q", data[:8].tobytes())
    if length > min(_MAX_HEADER, len(data) - 8):
        raise ValueError(f"a header of {length} bytes in a file of {len(data)}")
    header = json.loads(data[8 : 8 + length].tobytes())
    entries = {}
    for name, value in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + int(at) for at in value["data_offsets"])
        dtype = _DTYPES[value["dtype"]]
        shape = tuple(int(size) for size in value["shape"])
        expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if not 8 + length <= begin <= end <= len(data) or end - begin != expected:
            raise ValueError(f"{name} lies at {begin}..{end} of {len(data)} bytes")
        entries[name] = TensorEntry(dtype=dtype, shape=shape, offset=begin, n_bytes=expected)
    return entries
