"""Words of a text with their offsets, for answers whose offsets count words."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from relik.types import Span

_PIECE = re.compile(r"\w+|[^\w\s]")
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A text and its words.

    Args:
        starts: First code point of each word, ascending.
        ends: One past the last code point of each.
    """

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def tokens(self, first: int = 0, last: int | None = None) -> list[str]:
        """Return the words from `first` to before `last`; None for all that follow."""
        starts, ends = self.starts[first:last], self.ends[first:last]
        return [self.text[start:end] for start, end in zip(starts, ends, strict=True)]

    def range_of(self, span: Span) -> tuple[int, int]:
        """Return the first word that a span touches, and one past the last."""
        first = bisect_right(self.ends, span.start)
        return first, max(first, bisect_left(self.starts, span.end))


def split_words(text: str) -> Words:
    """Split a text into words.

    A word is a run of letters, digits and underscores with their combining marks; any other code
    point that is not white space is a word.
    """
    starts: list[int] = []
    ends: list[int] = []
    for piece in _PIECE.finditer(text):
        start, end = piece.span()
        if ends and ends[-1] == start and _continues(text, start):
            ends[-1] = end
        else:
            starts.append(start)
            ends.append(end)
    return Words(text=text, starts=tuple(starts), ends=tuple(ends))


def join_words(words: Sequence[str]) -> Words:
    """Join words with spaces to a text."""
    starts: list[int] = []
    ends: list[int] = []
    end = -1
    for word in words:
        starts.append(end + 1)
        end = starts[-1] + len(word)
        ends.append(end)
    return Words(text=" ".join(words), starts=tuple(starts), ends=tuple(ends))


def _continues(text: str, start: int) -> bool:
    """Tell whether a piece continues the word before it."""
    first, before = text[start], text[start - 1]
    if _combines(first):
        return True
    return _combines(before) and (first.isalnum() or before in _JOINERS)


def _combines(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character).startswith("M")
