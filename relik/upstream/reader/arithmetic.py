"""What a reader asks of its model, whichever library does the arithmetic."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from relik.reader.inputs import ReaderInput
from relik.types import FloatArray, IntArray
from relik.upstream.checkpoint.reader_config import CheckpointSettings

In = TypeVar("In")
Out = TypeVar("Out")

FLOATS_AT_ONCE = 12_000_000
"""Floats of the largest tensor of a piece: with what comes of it, under 256 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Spans of a batch, by tokens.

    Args:
        rows: Int64, (n_spans,), row of each.
        starts: Int64, (n_spans,), first token.
        ends: Int64, (n_spans,), last token.
    """

    rows: IntArray
    starts: IntArray
    ends: IntArray

    def of(self, which: IntArray | slice) -> "Places":
        """Choose some of the spans."""
        return Places(rows=self.rows[which], starts=self.starts[which], ends=self.ends[which])


class Encoded(Protocol):
    """A batch of rows that the backbone has read; the rest is for the model that made it."""

    @property
    def starts(self) -> FloatArray:
        """Float32, (batch, n, 2), logits of no and yes; the text stands at 1..n_text."""
        ...


class ReaderArithmetic(Protocol):
    """A reader's model: four stages, one after the other."""

    @property
    def settings(self) -> CheckpointSettings:
        """What its config.json says."""
        ...

    @property
    def positions(self) -> int | None:
        """Most tokens of a row, or None where any number will do."""
        ...

    @property
    def n_words(self) -> int:
        """Number of ids that have an embedding."""
        ...

    @property
    def rows_at_once(self) -> int | None:
        """Most rows of a batch, or None where that is a matter of memory alone."""
        ...

    def each(self, work: Callable[[In], Out], batches: Sequence[In]) -> list[Out]:
        """Do something for each of many batches, in whatever way is fastest, in their order."""
        ...

    def encode(self, rows: Sequence[ReaderInput]) -> Any:
        """Read rows; the result is `Encoded`."""
        ...

    def ends(self, encoded: Any, rows: IntArray, starts: IntArray, *, n_tokens: int) -> FloatArray:
        """Score the first tokens as the end of each start, (n_starts, n_tokens[, 2])."""
        ...

    def link(self, encoded: Any, places: Places) -> FloatArray:
        """Score the entities of its row for each span, (n_spans, n_classes)."""
        ...

    def relate(
        self, encoded: Any, places: Places, *, types: FloatArray | None, n_relations: int
    ) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
        """Score relations for all pairs of spans of one row, piece by piece."""
        ...


def pieces(count: int, floats: int) -> Iterator[slice]:
    """Cut things of so many floats each into pieces of `FLOATS_AT_ONCE`.

    Args:
        floats: Floats of each.

    Yields:
        Slices, in order.
    """
    step = max(1, FLOATS_AT_ONCE // max(1, floats))
    for first in range(0, count, step):
        yield slice(first, first + step)
