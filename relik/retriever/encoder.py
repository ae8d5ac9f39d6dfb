"""Texts to vectors: tokenise, look words up, run the query encoder in batches of like length."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from relik.backends import EncoderBackend, WordEmbeddings, open_encoder_backend
from relik.errors import BundleCorruptError, DimensionMismatchError
from relik.layout import LAYOUT
from relik.text import TextTokenizer, open_tokenizer
from relik.types import FloatArray, IntArray

DEFAULT_MAX_TOKENS = 128
BATCH_TOKENS = 8192
_LEAST_NORM = 1e-12


class TransformerEncoder:
    """The query encoder of a bundle; a `TextEncoder`.

    Args:
        backend: Runs the model.
        embeddings: Word embeddings; as wide as whole vectors.
        tokenizer: Its post-processor adds the special tokens.
        max_tokens: Tokens of a text that are read, special tokens included.
        batch_tokens: Padded tokens per batch.
        dim: Length to which vectors are cut; None leaves them whole.
    """

    def __init__(
        self,
        backend: EncoderBackend,
        embeddings: WordEmbeddings,
        tokenizer: Tokenizer,
        *,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        batch_tokens: int = BATCH_TOKENS,
        dim: int | None = None,
    ) -> None:
        self._backend = backend
        self._embeddings = embeddings
        self._tokenizer = TextTokenizer(tokenizer)
        self._max_tokens = max_tokens
        self._batch_tokens = batch_tokens
        self.dim = embeddings.hidden if dim is None else dim

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Encode texts, each on its own: the batch does not change a vector.

        Args:
            texts: Any strings; the end of a long one is not read.

        Returns:
            Float32, (n_texts, dim), L2-normalised, in the order given.

        Raises:
            InferenceError: The model failed.
        """
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        rows = self._tokenizer.rows(texts, max_tokens=self._max_tokens)
        for batch in self._batches([len(row) for row in rows]):
            vectors[batch] = self._encode_rows([rows[k] for k in batch])
        return vectors

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Yield positions of rows of like length, longest first, within the token budget."""
        batch: list[int] = []
        width = 0
        for position in sorted(range(len(lengths)), key=lambda k: -lengths[k]):
            if batch and width * (len(batch) + 1) > self._batch_tokens:
                yield batch
                batch = []
            if not batch:
                width = lengths[position]
            batch.append(position)
        if batch:
            yield batch

    def _encode_rows(self, rows: Sequence[list[int]]) -> FloatArray:
        ids: IntArray = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for k, row in enumerate(rows):
            ids[k, : len(row)] = row
            mask[k, : len(row)] = 1
        vectors = self._backend.encode(self._embeddings.lookup(ids), np.zeros_like(ids), mask)
        if self.dim == vectors.shape[1]:
            return vectors
        # The beginning of a Matryoshka vector is a vector too, once it has unit length.
        cut = vectors[:, : self.dim]  # (batch, dim)
        norms = np.linalg.norm(cut, axis=1, keepdims=True)
        return np.asarray(cut / np.maximum(norms, _LEAST_NORM), dtype=np.float32)


def open_encoder(
    path: Path, backend: str, *, records: bool = False, threads: int = 0
) -> TransformerEncoder:
    """Open the query encoder of a bundle.

    Args:
        path: Folder of the bundle.
        backend: "onnx", "torch" or "auto".
        records: It is to encode records, of which it reads no more than it was trained to read.
        threads: Threads of the ONNX backend, 0 for one per core.

    Returns:
        The encoder.

    Raises:
        BundleError: A file is missing or broken, or the bundle has no encoder for that backend.
        ConfigError: There is no such backend, or it is not installed.
        DimensionMismatchError: Encoder and word embeddings differ in width.
    """
    folder = path / LAYOUT.query_encoder
    try:
        config = json.loads((folder / LAYOUT.config).read_text(encoding="utf-8"))
        dim = _positive(config["dim"])
        # The model may give longer vectors than the bundle keeps.
        whole = _positive(config.get("backbone", {}).get("hidden_size", dim))
        max_tokens = int(config.get("max_tokens", DEFAULT_MAX_TOKENS))
        if records:
            max_tokens = _positive(config.get("record_tokens", max_tokens))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleCorruptError(
            f"{folder / LAYOUT.config}: is not the settings of an encoder ({error!r}): "
            "fetch or build the bundle again"
        ) from error
    embeddings = WordEmbeddings.open(path / LAYOUT.word_embeddings)
    if embeddings.hidden != max(dim, whole):
        raise DimensionMismatchError(
            f"{path}: got word embeddings of width {embeddings.hidden}, expected "
            f"{max(dim, whole)} as the encoder reads: build the bundle again"
        )
    return TransformerEncoder(
        open_encoder_backend(folder, backend, threads=threads),
        embeddings,
        open_tokenizer(path / LAYOUT.tokenizer),
        max_tokens=max_tokens,
        dim=dim,
    )


def _positive(value: object) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"got {value!r}, expected a whole number of at least 1")
    return value
