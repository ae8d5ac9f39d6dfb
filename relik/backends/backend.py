"""Encoder and reader that ONNX Runtime and torch both implement."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from relik.types import FloatArray, IntArray


class EncoderBackend(Protocol):
    """Runs the query encoder."""

    def encode(
        self, inputs_embeds: FloatArray, token_type_ids: IntArray, attention_mask: IntArray
    ) -> FloatArray:
        """Encode token embeddings into unit vectors.

        Args:
            inputs_embeds: Float32, (batch, n_tokens, hidden).
            token_type_ids: Int64, (batch, n_tokens).
            attention_mask: Int64, (batch, n_tokens), 1 on tokens, 0 on padding.

        Returns:
            Float32, (batch, hidden), L2-normalised.

        Raises:
            InferenceError: The arithmetic failed.
        """


class ReaderBackend(ABC):
    """Runs the four stages of the reader; see `relik.models.reader_module.ReaderModel`.

    `hidden` is opaque and stays on the device: only the backend that computed it reads it. `rows`,
    `starts` and `ends` are int64, (n_spans,): the row of each span, its first and its last token.
    """

    @abstractmethod
    def encode(
        self,
        inputs_embeds: FloatArray,
        token_type_ids: IntArray,
        attention_mask: IntArray,
        entity_positions: IntArray,
        relation_positions: IntArray,
    ) -> tuple[object, FloatArray, FloatArray, FloatArray]:
        """Read text and candidates; score starts; project the markers.

        Args:
            inputs_embeds: Float32, (batch, n_tokens, hidden).
            token_type_ids: Int64, (batch, n_tokens).
            attention_mask: Int64, (batch, n_tokens), 1 on tokens, 0 on padding.
            entity_positions: Int64, (batch, n_entities), padded with any token.
            relation_positions: Int64, (batch, n_relations), padded alike; may have no column.

        Returns:
            Hidden states; start logits (batch, n_tokens, 2); entity vectors
            (batch, n_entities, 2L); relation vectors (batch, n_relations, L); float32.

        Raises:
            InferenceError: The arithmetic failed.
        """

    def ends(
        self, hidden: object, rows: IntArray, starts: IntArray, *, n_tokens: int | None = None
    ) -> FloatArray:
        """Score the first `n_tokens` tokens of its row as the end of each start.

        Args:
            n_tokens: Tokens of the text, where ends may lie; None scores the candidates too.

        Returns:
            Logits, float32, (n_starts, n_tokens).

        Raises:
            InferenceError: The arithmetic failed.
        """
        states = self._states(hidden)[:, :n_tokens]
        if not len(rows):
            return np.zeros((0, states.shape[1]), dtype=np.float32)
        return self._scores("ends", {"hidden": states, "rows": rows, "starts": starts})

    def link(
        self,
        hidden: object,
        rows: IntArray,
        starts: IntArray,
        ends: IntArray,
        entity_vectors: FloatArray,
    ) -> FloatArray:
        """Score the entities of its row for each span.

        Returns:
            Logits, float32, (n_spans, n_entities); padding is not masked.

        Raises:
            InferenceError: The arithmetic failed.
        """
        shape = (len(rows), entity_vectors.shape[1])
        if 0 in shape:
            return np.zeros(shape, dtype=np.float32)
        feed = {"hidden": self._states(hidden), "rows": rows, "starts": starts, "ends": ends}
        return self._scores("link", feed | {"entity_vectors": entity_vectors})

    def relate(
        self,
        hidden: object,
        rows: IntArray,
        starts: IntArray,
        ends: IntArray,
        subjects: IntArray,
        objects: IntArray,
        relation_vectors: FloatArray,
    ) -> FloatArray:
        """Score the relations of its row for each ordered pair of spans.

        Args:
            subjects: Int64, (n_pairs,), position of the subject among the spans.
            objects: Int64, (n_pairs,), position of the object among them.

        Returns:
            Logits of no and yes, float32, (n_pairs, n_relations, 2).

        Raises:
            InferenceError: The arithmetic failed.
        """
        shape = (len(subjects), relation_vectors.shape[1], 2)
        if 0 in shape:
            return np.zeros(shape, dtype=np.float32)
        feed = {"hidden": self._states(hidden), "rows": rows, "starts": starts, "ends": ends}
        feed |= {"subjects": subjects, "objects": objects}
        return self._scores("relate", feed | {"relation_vectors": relation_vectors})

    @abstractmethod
    def _states(self, hidden: object) -> Any:
        """Return hidden states, or refuse those of another backend."""

    @abstractmethod
    def _scores(self, stage: str, feed: Mapping[str, Any]) -> FloatArray:
        """Run a stage that has something to score."""
