"""Reads windows however long: one that does not fit the reader is read in two halves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from relik.errors import TextTooLongError
from relik.upstream.reader.predictions import WindowPrediction
from relik.upstream.text.token_windows import UpstreamWindow

if TYPE_CHECKING:
    from relik.upstream.reader.released_reader import ReadOptions

CharSpan = tuple[int, int]


class WindowReader(Protocol):
    """What is asked of a reader."""

    def read(
        self,
        windows: Sequence[UpstreamWindow],
        *,
        span_candidates: Sequence[Sequence[str] | None] | None,
        triplet_candidates: Sequence[Sequence[str] | None] | None,
        options: "ReadOptions",
        mentions: Sequence[Sequence[CharSpan] | None] | None = None,
    ) -> list[WindowPrediction]:
        """Read windows with their candidates; see `UpstreamReader.read`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Windows and what goes with each.

    Args:
        windows: The windows.
        span_candidates: Entities offered for each, as the reader sees them; None without.
        triplet_candidates: Relations offered for each; None without.
        mentions: Mentions of each that are given; None where they are to be found.
    """

    windows: list[UpstreamWindow]
    span_candidates: list[list[str]] | None
    triplet_candidates: list[list[str]] | None
    mentions: list[tuple[CharSpan, ...]] | None

    def part(self, first: int, last: int) -> "Work":
        """Return some of it."""
        spans, triplets, mentions = (
            None if lines is None else lines[first:last]
            for lines in (self.span_candidates, self.triplet_candidates, self.mentions)
        )
        return Work(
            windows=self.windows[first:last],
            span_candidates=spans,  # type: ignore[arg-type]  # the generator mixes the three types
            triplet_candidates=triplets,  # type: ignore[arg-type]  # likewise
            mentions=mentions,  # type: ignore[arg-type]  # likewise
        )


def read_fitting(
    reader: WindowReader, work: Work, options: "ReadOptions"
) -> list[WindowPrediction]:
    """Read windows; one that is too long is read in halves, down to a single word.

    What stands in both halves, such as a mention across the cut, is not found.

    Returns:
        One prediction a window, in the same order.

    Raises:
        TextTooLongError: A single word is too long.
    """
    try:
        return read_strictly(reader, work, options)
    except TextTooLongError:
        count = len(work.windows)
        if count == 1:
            return [_put_together(read_fitting(reader, _halved(work), options))]
        # The reader does not say which window it was: it is alone sooner or later.
        parts = work.part(0, count // 2), work.part(count // 2, count)
        return [found for part in parts for found in read_fitting(reader, part, options)]


def read_strictly(
    reader: WindowReader, work: Work, options: "ReadOptions"
) -> list[WindowPrediction]:
    """Read windows as they are.

    Returns:
        One prediction a window, in the same order.

    Raises:
        TextTooLongError: A window is too long.
    """
    return reader.read(
        work.windows,
        span_candidates=work.span_candidates,
        triplet_candidates=work.triplet_candidates,
        options=options,
        mentions=work.mentions,
    )


def _halved(work: Work) -> Work:
    window = work.windows[0]
    count = len(window.words)
    if count < 2:
        raise TextTooLongError(
            f"got the word {window.text[:40]!r} of {len(window.text)} characters, which does not "
            "fit the reader with a candidate: shorten it, or raise max_length"
        )
    pieces = [_piece(window, 0, count // 2), _piece(window, count // 2, count)]
    return Work(
        windows=pieces,
        span_candidates=None if work.span_candidates is None else work.span_candidates * 2,
        triplet_candidates=None if work.triplet_candidates is None else work.triplet_candidates * 2,
        mentions=None
        if work.mentions is None
        else [_within(work.mentions[0], piece) for piece in pieces],
    )


def _piece(window: UpstreamWindow, first: int, last: int) -> UpstreamWindow:
    start, end = int(window.starts[first]), int(window.ends[last - 1])
    return replace(
        window,
        text=window.text[start - window.offset : end - window.offset],
        words=window.words[first:last],
        starts=window.starts[first:last],
        ends=window.ends[first:last],
        offset=start,
    )


def _within(mentions: Sequence[CharSpan], piece: UpstreamWindow) -> tuple[CharSpan, ...]:
    end = piece.offset + len(piece.text)
    return tuple(one for one in mentions if piece.offset <= one[0] and one[1] <= end)


def _put_together(read: Sequence[WindowPrediction]) -> WindowPrediction:
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
