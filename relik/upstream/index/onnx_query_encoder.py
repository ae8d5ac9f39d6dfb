"""Converted encoders on ONNX Runtime, with batches of texts of one length and no padding."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from relik.backends.onnx_rows import VECTORS, RowModel
from relik.errors import BundleCorruptError, InputError
from relik.types import FloatArray
from relik.upstream.text.subwords import EncoderTokenizer, TokenRow

# Tokens per batch: larger batches are not faster, and threads would finish at different times.
_BATCH_TOKENS = 384


class OnnxEncoder:
    """A converted encoder; see `relik.upstream.index.query_encoder.UpstreamEncoder`."""

    def __init__(self, rows: RowModel, tokenizer: EncoderTokenizer) -> None:
        self.dim = rows.hidden
        self._rows = rows
        self._tokenizer = tokenizer
        self._several = rows.takes(VECTORS, "rows")

    @classmethod
    def open(cls, folder: Path, *, threads: int = 0) -> "OnnxEncoder":
        """Open the encoder of a folder.

        Args:
            threads: Texts to encode in parallel; 0 for one per core.

        Raises:
            BundleError: A file is missing or broken.
        """
        rows = RowModel.open(folder, threads=threads)
        if not rows.has(VECTORS):
            raise BundleCorruptError(
                f"{folder / VECTORS}: is missing, expected the graph of an encoder: convert the "
                "pipeline again"
            )
        return cls(rows, EncoderTokenizer.open(folder, positions=rows.positions))

    def encode(
        self,
        texts: Sequence[str],
        *,
        batch_size: int = 32,
        topics: Sequence[str] | None = None,
    ) -> FloatArray:
        """Encode texts; the batch changes a vector by no more than float32 rounding.

        Returns:
            Float32, (n_texts, dim), not normalised.

        Raises:
            InputError: The batch size is not positive, or topics and texts differ in number.
            InferenceError: The model failed.
        """
        if batch_size < 1:
            raise InputError(f"got a batch size of {batch_size}, expected at least 1: raise it")
        rows = self._tokenizer.rows(texts, topics=topics)
        groups = group_by_length(
            [len(ids) for ids, _ in rows], _BATCH_TOKENS if self._several else 0
        )
        vectors = np.zeros((len(rows), self.dim), dtype=np.float32)
        found = self._rows.each(lambda group: self._encode([rows[i] for i in group]), groups)
        for group, part in zip(groups, found, strict=True):
            vectors[group] = part
        return vectors

    def _encode(self, rows: Sequence[TokenRow]) -> FloatArray:
        """Encode rows of one length."""
        ids, types = np.array(rows, dtype=np.int64).swapaxes(0, 1)  # (n_rows, n_tokens) each
        feed = self._rows.feed(ids.ravel(), types.ravel())
        if self._several:
            feed["positions"] = np.tile(np.arange(ids.shape[1], dtype=np.int64), len(rows))
            feed["rows"] = np.array([len(rows)], dtype=np.int64)
        return self._rows.run(VECTORS, feed)[0]


def group_by_length(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Group rows of one length, longest first, so that threads finish at about the same time."""
    groups: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[place]
        last = groups[-1] if groups else []
        if last and lengths[last[0]] == length and (len(last) + 1) * length <= most:
            last.append(place)
        else:
            groups.append([place])
    return groups
