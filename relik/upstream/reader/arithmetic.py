"""Protocol of a released reader's model, which torch and ONNX Runtime both implement."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from relik.reader.inputs import ReaderInput
from relik.types import FloatArray, IntArray
from relik.upstream.checkpoint.reader_config import CheckpointSettings

In = TypeVar("In")
Out = TypeVar("Out")
Array = TypeVar("Array")

FLOATS_AT_ONCE = 12_000_000
"""Floats of the largest tensor of a piece, which takes under 256 MB with all that follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSpans:
    """Row, first token and last token of the spans of a batch, each int64, (n_spans,)."""

    rows: IntArray
    starts: IntArray
    ends: IntArray

    def of(self, which: IntArray | slice) -> "BatchSpans":
        """Select some of the spans."""
        return BatchSpans(rows=self.rows[which], starts=self.starts[which], ends=self.ends[which])


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded(Generic[Array]):
    """The states of a batch of rows; all but `starts` is private to its model.

    Args:
        hidden: (batch, n_tokens, d); without the batch on ONNX Runtime, as are those below.
        starts: Float32, (batch, n_tokens, 2), logits of no and yes; the text is at 1..n_text.
        entities: (batch, n_classes, width).
        relations: (batch, n_relations, L).
        entity_positions: Int64, (batch, n_classes), among the tokens of `hidden`.
    """

    hidden: Array
    starts: FloatArray
    entities: Array
    relations: Array
    entity_positions: Array


class ReaderArithmetic(Protocol):
    """A reader's model in four stages."""

    settings: CheckpointSettings
    """Settings from its config.json."""
    positions: int | None
    """Most tokens of a row, or None for no limit."""
    n_words: int
    """Number of ids that have an embedding."""
    rows_at_once: int | None
    """Most rows of a batch, or None where only memory limits it."""

    def each(self, work: Callable[[In], Out], batches: Sequence[In]) -> list[Out]:
        """Apply a function to each batch, perhaps in parallel, and return results in order."""
        ...

    def encode(self, rows: Sequence[ReaderInput]) -> Encoded[Any]:
        """Read rows and return their `Encoded` states."""
        ...

    def ends(self, encoded: Any, rows: IntArray, starts: IntArray, *, n_tokens: int) -> FloatArray:
        """Score the first `n_tokens` as the end of each start, (n_starts, n_tokens[, 2])."""
        ...

    def link(self, encoded: Any, spans: BatchSpans) -> FloatArray:
        """Score the entities of its row for each span, (n_spans, n_classes)."""
        ...

    def relate(
        self, encoded: Any, spans: BatchSpans, *, types: FloatArray | None, n_relations: int
    ) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
        """Score relations for all ordered pairs of spans of one row, a span with itself included.

        Args:
            types: Float32, (n_spans, n_classes), probability of each entity of the row, 0..1;
                None for a reader without entities.

        Yields:
            Subjects and objects, int64, (n_pairs,), and probabilities, float32,
            (n_pairs, n_relations); piece by piece, in bounded memory.
        """
        ...


def pieces(count: int, floats: int) -> Iterator[slice]:
    """Split `count` items of `floats` floats each into slices of `FLOATS_AT_ONCE`."""
    step = max(1, FLOATS_AT_ONCE // max(1, floats))
    for first in range(0, count, step):
        yield slice(first, first + step)
