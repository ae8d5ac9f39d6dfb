"""Reading of windows of any length: halves those that do not fit the reader."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from relik.errors import TextTooLongError
from relik.upstream.reader.predictions import WindowPrediction
from relik.upstream.text.token_windows import UpstreamWindow

if TYPE_CHECKING:
    from relik.upstream.reader.released_reader import ReadOptions, UpstreamReader

CharSpan = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowBatch:
    """Windows with their candidates and mentions.

    Args:
        span_candidates: Texts of the entity candidates of each window, or None.
        triplet_candidates: Texts of the relation candidates of each window, or None.
        mentions: Mentions of each window to link, or None to find them.
    """

    windows: list[UpstreamWindow]
    span_candidates: list[list[str]] | None
    triplet_candidates: list[list[str]] | None
    mentions: list[tuple[CharSpan, ...]] | None

    def part(self, first: int, last: int) -> "WindowBatch":
        """Return a slice of it."""
        return WindowBatch(
            windows=self.windows[first:last],
            span_candidates=self.span_candidates and self.span_candidates[first:last],
            triplet_candidates=self.triplet_candidates and self.triplet_candidates[first:last],
            mentions=self.mentions and self.mentions[first:last],
        )


def read_fitting(
    reader: "UpstreamReader", batch: WindowBatch, options: "ReadOptions"
) -> list[WindowPrediction]:
    """Read windows; halve those that are too long, down to single words.

    Mentions and triples across the cut are not found.

    Raises:
        TextTooLongError: A single word is too long.
    """
    try:
        return read_strictly(reader, batch, options)
    except TextTooLongError:
        count = len(batch.windows)
        if count == 1:
            return [_join_halves(read_fitting(reader, _split_window(batch), options))]
        # The error does not name the window: halving the batch isolates it.
        parts = batch.part(0, count // 2), batch.part(count // 2, count)
        return [found for part in parts for found in read_fitting(reader, part, options)]


def read_strictly(
    reader: "UpstreamReader", batch: WindowBatch, options: "ReadOptions"
) -> list[WindowPrediction]:
    """Read windows as they are.

    Raises:
        TextTooLongError: A window is too long.
    """
    return reader.read(
        batch.windows,
        span_candidates=batch.span_candidates,
        triplet_candidates=batch.triplet_candidates,
        options=options,
        mentions=batch.mentions,
    )


def _split_window(batch: WindowBatch) -> WindowBatch:
    window = batch.windows[0]
    count = len(window.words)
    if count < 2:
        raise TextTooLongError(
            f"got the word {window.text[:40]!r} of {len(window.text)} characters, expected one "
            "that fits the reader with a candidate: shorten it, or raise max_length"
        )
    pieces = [_slice_window(window, 0, count // 2), _slice_window(window, count // 2, count)]
    return WindowBatch(
        windows=pieces,
        span_candidates=batch.span_candidates and batch.span_candidates * 2,
        triplet_candidates=batch.triplet_candidates and batch.triplet_candidates * 2,
        mentions=batch.mentions
        and [_mentions_within(batch.mentions[0], piece) for piece in pieces],
    )


def _slice_window(window: UpstreamWindow, first: int, last: int) -> UpstreamWindow:
    start, end = int(window.starts[first]), int(window.ends[last - 1])
    return replace(
        window,
        text=window.text[start - window.offset : end - window.offset],
        words=window.words[first:last],
        starts=window.starts[first:last],
        ends=window.ends[first:last],
        offset=start,
    )


def _mentions_within(mentions: Sequence[CharSpan], piece: UpstreamWindow) -> tuple[CharSpan, ...]:
    end = piece.offset + len(piece.text)
    return tuple(one for one in mentions if piece.offset <= one[0] and one[1] <= end)


def _join_halves(read: Sequence[WindowPrediction]) -> WindowPrediction:
    first, second = read
    before = len(first.spans)
    moved = tuple(
        replace(triple, subject=triple.subject + before, object=triple.object + before)
        for triple in second.triples
    )
    return WindowPrediction(
        spans=first.spans + second.spans,
        triples=first.triples + moved,
        left_out=max(first.left_out, second.left_out),
        spans_left_out=first.spans_left_out + second.spans_left_out,
    )
