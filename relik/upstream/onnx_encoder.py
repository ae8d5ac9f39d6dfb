"""Converted encoders on ONNX Runtime, a text at a time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from relik.backends.onnx_rows import VECTORS, RowModel
from relik.errors import BundleCorruptError, InputError
from relik.types import FloatArray
from relik.upstream.encoder_tokens import EncoderTokenizer, TokenRow


class OnnxEncoder:
    """A converted encoder; see `relik.upstream.encoder.UpstreamEncoder`.

    Args:
        rows: Its graph.
        tokenizer: Its subwords.
    """

    def __init__(self, rows: RowModel, tokenizer: EncoderTokenizer) -> None:
        self._rows = rows
        self._tokenizer = tokenizer

    @classmethod
    def open(cls, folder: Path, *, threads: int = 0) -> "OnnxEncoder":
        """Open the encoder of a folder.

        Args:
            folder: With weights, graph, tokenizer.json and tokenizer_config.json.
            threads: Texts to encode side by side; 0 for as many as there are cores.

        Returns:
            The encoder.

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

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self._rows.hidden

    def encode(
        self,
        texts: Sequence[str],
        *,
        batch_size: int = 32,
        topics: Sequence[str] | None = None,
    ) -> FloatArray:
        """Encode texts, each on its own.

        Args:
            texts: Any strings; the end of a long one is not read.
            batch_size: Has no effect here; checked as elsewhere.
            topics: A second text for each, read behind it.

        Returns:
            Float32, (n_texts, dim), in the order given, not normalised.

        Raises:
            InputError: The batch size is not positive, or topics and texts differ in number.
            InferenceError: The model failed.
        """
        if batch_size < 1:
            raise InputError(f"got a batch size of {batch_size}, expected at least 1")
        found = self._rows.each(self._encode, self._tokenizer.rows(texts, topics=topics))
        if not found:
            return np.zeros((0, self.dim), dtype=np.float32)
        return np.concatenate(found)

    def _encode(self, row: TokenRow) -> FloatArray:
        ids, types = (np.array(values, dtype=np.int64) for values in row)
        return self._rows.run(VECTORS, self._rows.feed(ids, types))[0]
