"""Texts into tokens and windows, as upstream cuts them.

Tokens are those of spaCy's rules for English; no model of spaCy is needed, nor spaCy itself where
the rules are at hand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from relik.errors import InputError
from relik.types import IntArray
from relik.upstream.text.words import SPACY, WordCutter

WHOLE, SENTENCE = "none", "sentence"


@dataclass(frozen=True, slots=True)
class UpstreamWindow:
    """A stretch of words of one document that the reader reads at once.

    Args:
        doc_id: Position of the document in its batch.
        window_id: Position of the window in its document.
        text: The window's text.
        words: Its words.
        starts: Int64, (n_words,), first code point of each word in the document.
        ends: Int64, (n_words,), one past its last code point.
        offset: First code point of the window in the document.
    """

    doc_id: int
    window_id: int
    text: str
    words: tuple[str, ...]
    starts: IntArray
    ends: IntArray
    offset: int


@dataclass(frozen=True, slots=True)
class TokenText:
    """A document in tokens.

    Args:
        text: Its text.
        words: Its tokens.
        starts: Int64, (n_words,), first code point of each in the text.
        ends: Int64, (n_words,), one past its last.
    """

    text: str
    words: tuple[str, ...]
    starts: IntArray
    ends: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Windowing:
    """How documents are cut.

    Args:
        size: Tokens per window, "sentence", or "none" for whole documents.
        stride: Tokens from one window to the next; None or 0 is `size`. Sentences and whole
            documents have none.

    Raises:
        InputError: The size is something else, or the stride is out of range: more than the
            size would leave tokens out.
    """

    size: int | str = WHOLE
    stride: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.size, str):
            if self.size not in (WHOLE, SENTENCE):
                raise InputError(
                    f"got the window size {self.size!r}, expected a number of tokens, "
                    f"{SENTENCE!r} or {WHOLE!r}"
                )
            if self.stride:
                raise InputError(
                    f"got the window stride {self.stride} with the size {self.size!r}, expected "
                    "none: it goes with a number of tokens"
                )
        elif isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 1:
            raise InputError(f"got the window size {self.size!r}, expected at least 1 token")
        elif not 0 <= (self.stride or 0) <= self.size:
            raise InputError(
                f"got windows of {self.size} tokens and a stride of {self.stride}, expected a "
                "stride from 0 to the size: a longer one leaves tokens out"
            )


def tokenize(text: str, cutter: WordCutter = SPACY) -> TokenText:
    """Cut a text into tokens.

    Returns:
        The tokens; none for an empty text. White space beyond a single space is a token too.

    Raises:
        InputError: The text has half of a surrogate pair.
        ConfigError: spaCy is to cut it and is not installed.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"got half of a surrogate pair at character {error.start}, expected Unicode text: "
            "decode the text as it was encoded"
        ) from error
    words, starts, ends = cutter.cut(text)
    return TokenText(text, words, starts, ends)


def join_words(words: Sequence[str]) -> TokenText:
    """Make a document of words that are given, with a space between each two.

    Raises:
        InputError: They are one text, or something other than texts.
    """
    if isinstance(words, str) or not all(isinstance(word, str) for word in words):
        raise InputError(
            f"got {str(words)[:80]!r}, expected a list of words: with is_split_into_words each "
            "document is one"
        )
    lengths = np.array([len(word) for word in words], dtype=np.int64)
    ends = np.cumsum(lengths + 1) - 1
    return TokenText(" ".join(words), tuple(words), ends - lengths, ends)


def split(
    document: TokenText, windowing: Windowing, *, doc_id: int = 0, cutter: WordCutter = SPACY
) -> list[UpstreamWindow]:
    """Cut a document into windows.

    Windows of a number of tokens begin every `stride` tokens. The last is as long as the others
    wherever the document has that many tokens: it is moved back to end with the document.

    Returns:
        Windows in order, every token in at least one; none for a document without tokens.
    """
    if windowing.size == SENTENCE:
        ranges = cutter.sentences(document.words)
    elif isinstance(windowing.size, str):
        ranges = iter([(0, len(document.words))] if document.words else [])
    else:
        stride = windowing.stride or windowing.size
        ranges = _ranges(len(document.words), windowing.size, stride)
    return [
        _window(document, first, last, doc_id=doc_id, window_id=number)
        for number, (first, last) in enumerate(ranges)
    ]


def word_range(document: TokenText, start: int, end: int) -> tuple[int, int]:
    """Return the tokens that a stretch of text begins and ends in.

    Args:
        end: One past the last; may come before `start`, as ends that upstream reads may.

    Returns:
        The token that has the first code point, and one past the one that has the last.
    """
    first = int(np.searchsorted(document.starts, start, side="right")) - 1
    last = int(np.searchsorted(document.ends, end, side="left"))
    return max(first, 0), min(last, len(document.words) - 1) + 1


def char_range(document: TokenText, first: int, last: int) -> tuple[int, int]:
    """Return where tokens begin and end in the text.

    Raises:
        InputError: The document has no such tokens.
    """
    if not 0 <= first < last <= len(document.words):
        raise InputError(
            f"got a mention from word {first} to {last}, expected it within the "
            f"{len(document.words)} words of the text"
        )
    return int(document.starts[first]), int(document.ends[last - 1])


def slice_words(document: TokenText, first: int, last: int) -> str:
    """Return the text from one token to another.

    Returns:
        The text; "" where there is no token.
    """
    if first >= last:
        return ""
    return document.text[int(document.starts[first]) : int(document.ends[last - 1])]


def _ranges(count: int, size: int, stride: int) -> Iterator[tuple[int, int]]:
    for first in range(0, count, stride):
        over = first + size - count
        if first and over >= stride:
            return
        start = first - max(over, 0) if first else 0
        yield start, min(start + size, count)


def _window(
    document: TokenText, first: int, last: int, *, doc_id: int, window_id: int
) -> UpstreamWindow:
    return UpstreamWindow(
        doc_id=doc_id,
        window_id=window_id,
        text=slice_words(document, first, last),
        words=document.words[first:last],
        starts=document.starts[first:last],
        ends=document.ends[first:last],
        offset=int(document.starts[first]),
    )
