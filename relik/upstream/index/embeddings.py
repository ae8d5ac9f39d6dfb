"""Vectors of a released index: memory-mapped from `embeddings.pt`, with exact search on torch."""

from pathlib import Path

import torch

from relik.errors import BundleCorruptError, BundleNotFoundError
from relik.types import FloatArray, IntArray
from relik.upstream.checkpoint.settings import Precision
from relik.upstream.checkpoint.weights import PRECISIONS, checked_device, read_torch_file
from relik.vectors.exact import ordered_search

_BLOCK_ROWS = 65536


class TorchVectors:
    """Vectors of upstream's format, searched block by block.

    Args:
        tensor: float32, float16 or bfloat16, (n_rows, dim); may be memory-mapped.
    """

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self.tensor.shape[1])

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.tensor)

    def search(self, queries: FloatArray, *, top_k: int) -> tuple[IntArray, FloatArray]:
        """Return the best rows of each query.

        Args:
            queries: Float32, (n_queries, dim).
            top_k: Rows per query, at least 1.

        Returns:
            Rows, int64, and scores, float32 inner products, both (n_queries, min(top_k,
            n_rows)), best first, ties by row.

        Raises:
            InputError: `top_k` is less than 1.
        """
        return ordered_search(
            queries,
            top_k=top_k,
            n_rows=len(self),
            propose=self._propose,
            reconstruct=self.reconstruct,
        )

    def reconstruct(self, rows: IntArray) -> FloatArray:
        """Return the vectors of rows: float32, (n, dim)."""
        chosen = self.tensor[torch.from_numpy(rows).to(self.tensor.device)]
        vectors: FloatArray = chosen.float().cpu().numpy()
        return vectors

    def _propose(self, queries: FloatArray, limit: int) -> IntArray:
        # On the CPU the products are in float32, at any precision of the rows.
        on_cpu = self.tensor.device.type == "cpu"
        dtype = torch.float32 if on_cpu else self.tensor.dtype
        wanted = torch.from_numpy(queries).to(self.tensor.device, dtype)
        scores = torch.empty((len(queries), 0), dtype=dtype, device=self.tensor.device)
        rows = torch.empty((len(queries), 0), dtype=torch.int64, device=self.tensor.device)
        for first in range(0, len(self), _BLOCK_ROWS):
            block = self.tensor[first : first + _BLOCK_ROWS].to(dtype)
            best, places = (wanted @ block.T).topk(min(limit, len(block)), dim=1)
            scores = torch.cat([scores, best], dim=1)
            rows = torch.cat([rows, places + first], dim=1)
            scores, kept = scores.topk(min(limit, scores.shape[1]), dim=1)
            rows = rows.gather(1, kept)
        proposed: IntArray = rows.cpu().numpy()
        return proposed  # (n_queries, limit)


def read_tensor(path: Path) -> torch.Tensor:
    """Map a float32, float16 or bfloat16 matrix that torch saved, without running code in it.

    Raises:
        BundleNotFoundError: There is no such file.
        BundleCorruptError: It is not such a matrix alone.
    """
    if not path.is_file():
        raise BundleNotFoundError(
            f"{path}: there is no such file, expected the vectors of an index: fetch it again"
        )
    value = read_torch_file(path)
    if not isinstance(value, torch.Tensor):
        raise BundleCorruptError(
            f"{path}: got a {type(value).__name__}, expected a bare tensor: fetch it again"
        )
    if value.ndim != 2 or value.dtype not in PRECISIONS.values():
        raise BundleCorruptError(
            f"{path}: got a tensor of shape {tuple(value.shape)} and type {value.dtype}, "
            "expected (n_rows, dim) of float32, float16 or bfloat16: fetch it again"
        )
    return value


def place_tensor(tensor: torch.Tensor, *, device: str, precision: Precision) -> torch.Tensor:
    """Move vectors, (n_rows, dim), to a device.

    Args:
        precision: Precision on a GPU; on the CPU vectors keep their own.

    Raises:
        ConfigError: torch cannot use the device.
    """
    if device == "cpu":
        return tensor
    with checked_device(device):
        return tensor.to(device, PRECISIONS[precision])
