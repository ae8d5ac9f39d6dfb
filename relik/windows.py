"""Splitting documents into overlapping windows of words, and merging annotations of windows."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from relik.config import WindowConfig
from relik.errors import InputError
from relik.types import (
    Annotation,
    Coverage,
    Document,
    EntitySpan,
    Span,
    Triple,
    Window,
    WindowAnnotation,
)

_WORD = re.compile(r"\S+")
_LONGEST_WORD = 100
# Code points of a piece of a long run, about those of a word: text without spaces then gets
# windows as long as those of other text, which fit into the models.
_PIECE = 8
# Shorter windows are never halved, since the halves would lack context.
_MIN_HALVED_WORDS = 24
_ZERO_WIDTH_JOINER = "\u200d"


def check_text(document: Document) -> None:
    """Refuse a text that cannot be written in UTF-8.

    Raises:
        InputError: The text has half of a surrogate pair.
    """
    try:
        document.text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"document {document.doc_id!r}: got half of a surrogate pair at character "
            f"{error.start}, expected Unicode text: decode the text in its own encoding"
        ) from error


def check_mentions(document: Document, mentions: Sequence[Span]) -> None:
    """Refuse mentions that do not fit a document.

    Raises:
        InputError: A mention ends after the text or overlaps another.
    """
    for span in mentions:
        if span.end > len(document.text):
            raise InputError(
                f"document {document.doc_id!r}: got a mention from {span.start} to {span.end}, "
                f"expected it within the {len(document.text)} characters of the text: "
                "give code-point offsets"
            )
    for one, other in pairwise(sorted(mentions)):
        if one.overlaps(other):
            raise InputError(
                f"document {document.doc_id!r}: got mentions from {one.start} to {one.end} and "
                f"from {other.start} to {other.end}, expected none that overlap: "
                "link them in two calls"
            )


def is_blank(document: Document, span: Span) -> bool:
    """Tell whether a span is white space alone, which need not be in any window."""
    return not document.text[span.start : span.end].strip()


def split(document: Document, config: WindowConfig) -> list[Window]:
    """Cut a document into windows of words.

    A word is a run of non-space code points; a run of more than 100 counts as several. The last
    window starts early enough to be as long as the others. Windows with more names than
    `config.max_names` are halved.

    Returns:
        Windows in order, every non-space code point in at least one; none for blank text.
    """
    words = list(_words(document.text))
    if not words:
        return []
    last = max(0, len(words) - config.size)
    ranges: dict[tuple[int, int], None] = {}
    for first in [*range(0, last, config.stride), last]:
        window = first, min(first + config.size, len(words))
        ranges |= dict.fromkeys(_halves(document.text, words, window, config))
    return [
        Window(
            doc_id=document.doc_id,
            index=index,
            span=Span(words[first][0], words[end - 1][1]),
            text=document.text[words[first][0] : words[end - 1][1]],
        )
        for index, (first, end) in enumerate(sorted(ranges))
    ]


def halve(document: Document, window: Window) -> tuple[Window, Window]:
    """Cut a window in two, at the last space of its first half if there is one.

    Args:
        window: A window of at least two code points.
    """
    half = len(window.text) // 2
    space = window.text.rfind(" ", 1, half)
    cut = window.span.start + (space if space > 0 else half)
    first, second = Span(window.span.start, cut), Span(cut, window.span.end)
    return (
        replace(window, span=first, text=document.text[first.start : first.end]),
        replace(window, span=second, text=document.text[second.start : second.end]),
    )


def place_mentions(
    document: Document, windows: Sequence[Window], mentions: Sequence[Span]
) -> list[list[Span]]:
    """Assign each mention to the window that contains it with most context on both sides.

    Returns:
        The mentions of each window, in the order of `mentions`. A mention that no window contains
        goes to the window that cuts off least of it, a blank one to none.

    Raises:
        InputError: A mention ends after the text or overlaps another.
    """
    check_mentions(document, mentions)
    placed: list[list[Span]] = [[] for _ in windows]
    starts = np.array([window.span.start for window in windows], dtype=np.int64)
    ends = np.array([window.span.end for window in windows], dtype=np.int64)
    for mention in mentions:
        if not is_blank(document, mention):
            context = np.minimum(mention.start - starts, ends - mention.end)  # (n_windows,)
            placed[int(context.argmax())].append(mention)
    return placed


def merge(
    document: Document, windows: Sequence[WindowAnnotation], *, nil: bool = False
) -> Annotation:
    """Merge the annotations of overlapping windows, in any order, into that of a document.

    Where spans overlap, the best score wins, then the longer, then the earlier. NIL mentions take
    part, so that a NIL with a high score suppresses a link with a low one. A triple whose end lost
    to an overlapping span of the same entity moves to that span; any other triple that lost an end
    is dropped.

    Args:
        nil: Keep NIL mentions.

    Returns:
        Sorted spans without overlap, sorted triples between them, and coverage.
    """
    winners = _resolve_overlaps(document, windows)
    if not nil:
        winners = [span for span in winners if span.entity_id is not None]
    return Annotation(
        doc_id=document.doc_id,
        spans=tuple(winners),
        triples=_merge_triples(windows, _MergedSpans(winners)),
        coverage=_coverage(document, windows),
    )


def _halves(
    text: str, words: Sequence[tuple[int, int]], window: tuple[int, int], config: WindowConfig
) -> list[tuple[int, int]]:
    """Return a range of words, first and one past the last, or its halves if it has many names."""
    first, end = window
    overlap = config.size - config.stride
    # Halves nearly as long as the whole would not help.
    if not config.max_names or end - first < 4 * overlap or end - first < _MIN_HALVED_WORDS:
        return [window]
    capitalised = [text[start].isupper() for start, _ in words[first:end]]
    names = sum(capitalised) - sum(one and other for one, other in pairwise(capitalised))
    if names <= config.max_names:
        return [window]
    middle = (first + end) // 2
    return [(first, middle + overlap // 2), (middle - (overlap + 1) // 2, end)]


def _words(text: str) -> Iterator[tuple[int, int]]:
    for match in _WORD.finditer(text):
        start, end = match.span()
        if end - start > _LONGEST_WORD:
            while end - start > _PIECE:
                cut = _piece_end(text, start)
                yield start, cut
                start = cut
        yield start, end


def _piece_end(text: str, start: int) -> int:
    """Return the end of a piece, moved back where it would split a grapheme."""
    cut = start + _PIECE
    while cut > start and _continues_grapheme(text, cut):
        cut -= 1
    return cut if cut > start else start + _PIECE


def _continues_grapheme(text: str, at: int) -> bool:
    char = text[at]
    return (
        unicodedata.category(char).startswith("M")
        or "\udc00" <= char <= "\udfff"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or char == _ZERO_WIDTH_JOINER
        or text[at - 1] == _ZERO_WIDTH_JOINER
    )


def _resolve_overlaps(document: Document, windows: Sequence[WindowAnnotation]) -> list[EntitySpan]:
    # One byte per code point that a span covers: testing a range is one fast scan, so that the
    # sort dominates the cost.
    taken = bytearray(len(document.text))
    winners = []
    for found in sorted((span for window in windows for span in window.spans), key=_preference):
        start, end = found.span.start, found.span.end
        if taken.find(1, start, end) == -1:
            taken[start:end] = b"\x01" * (end - start)
            winners.append(found)
    return sorted(winners, key=lambda found: found.span)


def _preference(found: EntitySpan) -> tuple[object, ...]:
    return (
        -found.score,
        found.span.start - found.span.end,
        found.span.start,
        found.entity_id is None,
        found.entity_id or "",
        # Last, so that the answer does not depend on the order of the windows.
        [(c.rank, c.entity_id, c.score, c.source) for c in found.candidates],
    )


class _MergedSpans:
    """The spans of a merged annotation, searched by position."""

    def __init__(self, spans: Sequence[EntitySpan]) -> None:
        self._spans = spans
        self._starts = [found.span.start for found in spans]
        self._ends = [found.span.end for found in spans]
        self._known = {found.span for found in spans}

    def place(self, span: Span, entity_id: str | None) -> Span | None:
        """Return the span itself, an overlapping span of the same entity, or None."""
        if span in self._known:
            return span
        if entity_id is None:
            return None
        first, last = bisect_right(self._ends, span.start), bisect_left(self._starts, span.end)
        rivals = [f.span for f in self._spans[first:last] if f.entity_id == entity_id]
        return min(rivals, key=lambda rival: (-_overlap(rival, span), rival), default=None)


def _overlap(one: Span, other: Span) -> int:
    return min(one.end, other.end) - max(one.start, other.start)


def _merge_triples(windows: Sequence[WindowAnnotation], merged: _MergedSpans) -> tuple[Triple, ...]:
    best: dict[tuple[Span, str, Span], float] = {}
    for window in windows:
        if not window.triples:
            continue
        # A window may have one span twice, for two entities: the better score counts.
        ranked = sorted(window.spans, key=_preference, reverse=True)
        entity_of = {found.span: found.entity_id for found in ranked}
        for triple in window.triples:
            subject = merged.place(triple.subject, entity_of.get(triple.subject))
            object_ = merged.place(triple.object, entity_of.get(triple.object))
            if subject is None or object_ is None:
                continue
            if subject == object_ and triple.subject != triple.object:
                continue
            key = subject, triple.relation_id, object_
            best[key] = max(triple.score, best.get(key, 0.0))
    return tuple(
        Triple(subject=subject, relation_id=relation_id, object=object_, score=score)
        for (subject, relation_id, object_), score in sorted(best.items())
    )


def _coverage(document: Document, windows: Sequence[WindowAnnotation]) -> Coverage:
    characters, reached, missed = 0, 0, False
    for span in sorted(found.window.span for found in windows):
        missed = missed or bool(document.text[reached : span.start].strip())
        characters += max(0, span.end - max(reached, span.start))
        reached = max(reached, span.end)
    missed = missed or bool(document.text[reached:].strip())
    return Coverage(
        characters=characters,
        windows=len(windows),
        truncated=missed or any(found.truncated for found in windows),
    )
