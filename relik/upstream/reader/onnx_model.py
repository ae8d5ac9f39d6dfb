"""Models of converted readers on ONNX Runtime: the stages of a released reader, row by row."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from relik.backends.onnx_rows import COMPARE, ENCODE, ENDS, LINK, SIDES, RowModel
from relik.errors import BundleCorruptError
from relik.reader.decode import softmax
from relik.reader.inputs import ReaderInput
from relik.types import FloatArray, IntArray
from relik.upstream.checkpoint.reader_config import CheckpointSettings, Kind
from relik.upstream.reader.arithmetic import BatchSpans, Encoded, pieces

Row: TypeAlias = Encoded[NDArray[Any]]
"""The states of a row's text and markers, without the other tokens of candidates."""


class OnnxReaderModel:
    """The model of a converted reader; see `ReaderArithmetic`."""

    rows_at_once: int | None = 1
    """One, since rows share no computation."""

    def __init__(self, rows: RowModel, settings: CheckpointSettings) -> None:
        self._rows = rows
        self.settings = settings
        self.positions = rows.positions
        self.n_words = rows.n_words
        self.each = rows.each

    @classmethod
    def open(cls, folder: Path, *, kind: Kind, threads: int = 0) -> "OnnxReaderModel":
        """Open the model of a reader.

        Args:
            threads: Rows to read in parallel; 0 for one per core.

        Raises:
            BundleError: A file is missing or broken, or does not fit another.
            ConfigError: The reader is of the other kind.
        """
        settings = CheckpointSettings.read(folder, kind=kind)
        heads = settings.heads
        needed = [ENCODE, ENDS]
        needed += [LINK] if heads.links or heads.types else []
        needed += [SIDES, COMPARE] if heads.relations else []
        rows = RowModel.open(folder, threads=threads)
        missing = next((name for name in needed if not rows.has(name)), None)
        if missing is not None:
            raise BundleCorruptError(
                f"{folder / missing}: is missing, expected the graph of a {kind} reader: convert "
                "the pipeline again"
            )
        return cls(rows, settings)

    def encode(self, rows: Sequence[ReaderInput]) -> Row:
        """Read a row.

        Raises:
            InferenceError: ONNX Runtime failed.
        """
        (row,) = rows
        markers = np.concatenate((row.entity_positions, row.relation_positions))
        kept = np.union1d(np.arange(row.n_text + 1), markers)  # sorted: the text stays first
        heads = self.settings.heads
        feed: dict[str, NDArray[np.generic]] = self._rows.feed(row.ids, row.types)
        feed["kept"] = kept
        entities = np.searchsorted(kept, row.entity_positions)
        relations = np.searchsorted(kept, row.relation_positions)
        if heads.links or heads.types:
            feed["entity_positions"] = _at_least_one(entities)
        if heads.relations:
            feed["relation_positions"] = _at_least_one(relations)
        hidden, starts, *vectors = self._rows.run(ENCODE, feed)
        none = np.zeros((0, 0), dtype=np.float32)
        found = iter(vectors)
        return Encoded(
            hidden=hidden,
            starts=starts[np.newaxis],
            entities=next(found)[: len(entities)] if heads.links or heads.types else none,
            relations=next(found)[: len(relations)] if heads.relations else none,
            entity_positions=entities,
        )

    def ends(self, encoded: Row, rows: IntArray, starts: IntArray, *, n_tokens: int) -> FloatArray:
        """Score tokens as the end of each start.

        Raises:
            InferenceError: ONNX Runtime failed.
        """
        hidden = encoded.hidden[:n_tokens]
        parts = [
            self._rows.run(ENDS, {"hidden": hidden, "starts": starts[piece]})[0]
            for piece in pieces(len(starts), hidden.size)
        ]
        logits = np.concatenate(parts)
        return logits[..., 0] if self.settings.heads.end_classes == 1 else logits

    def link(self, encoded: Row, spans: BatchSpans) -> FloatArray:
        """Score the entities of the row for each span.

        Raises:
            InferenceError: ONNX Runtime failed.
        """
        if not len(encoded.entities):
            return np.zeros((len(spans.rows), 0), dtype=np.float32)
        feed = _span_feed(encoded, spans) | {"entity_vectors": encoded.entities}
        return self._rows.run(LINK, feed)[0]

    def relate(
        self,
        encoded: Row,
        spans: BatchSpans,
        *,
        types: FloatArray | None,
        n_relations: int,
    ) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
        """Score relations for all ordered pairs of spans.

        Raises:
            InferenceError: ONNX Runtime failed.
        """
        feed = _span_feed(encoded, spans)
        if types is not None and self.settings.heads.type_embedding:
            markers = encoded.hidden[encoded.entity_positions[: types.shape[1]]]
            feed["entities"] = types @ markers  # (n_spans, d)
        as_subject, as_object = self._rows.run(SIDES, feed)
        vectors = encoded.relations[:n_relations]  # (n_relations, L)
        n_spans = len(spans.rows)
        pairs = np.arange(n_spans * n_spans, dtype=np.int64)
        for piece in pieces(len(pairs), vectors.size):
            subjects, objects = np.divmod(pairs[piece], n_spans)
            compared = {
                "subjects": as_subject[subjects],
                "objects": as_object[objects],
                "relation_vectors": vectors,
            }
            yield subjects, objects, softmax(self._rows.run(COMPARE, compared)[0])[..., 1]


def _span_feed(encoded: Row, spans: BatchSpans) -> dict[str, NDArray[np.generic]]:
    return {"hidden": encoded.hidden, "starts": spans.starts, "ends": spans.ends}


def _at_least_one(positions: IntArray) -> IntArray:
    """Point an empty list of positions at token 0, since kernels must gather something."""
    return positions if len(positions) else np.zeros(1, dtype=np.int64)
