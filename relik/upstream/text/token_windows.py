"""Texts as tokens, and windows of tokens, as in upstream.

Tokens follow spaCy's rules for English, which need no model of spaCy, and with a file of the rules
not even spaCy.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from relik.errors import InputError
from relik.types import IntArray
from relik.upstream.text.words import SPACY, WordTokenizer

WHOLE, SENTENCE = "none", "sentence"


@dataclass(frozen=True, slots=True)
class UpstreamWindow:
    """A window of words of one document.

    Args:
        doc_id: Position of the document in its batch.
        window_id: Position of the window in its document.
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
    """A document and its tokens.

    Args:
        starts: Int64, (n_words,), first code point of each token in the text.
        ends: Int64, (n_words,), one past its last code point.
    """

    text: str
    words: tuple[str, ...]
    starts: IntArray
    ends: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Windowing:
    """Size and stride of windows.

    Args:
        size: Tokens per window, "sentence", or "none" for whole documents.
        stride: Tokens from one window to the next, at most `size`; None or 0 is `size`. Sentences
            and whole documents have none.

    Raises:
        InputError: The size has another form, or the stride is out of range.
    """

    size: int | str = WHOLE
    stride: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.size, str):
            if self.size not in (WHOLE, SENTENCE):
                raise InputError(
                    f"got the window size {self.size!r}, expected a number of tokens, "
                    f"{SENTENCE!r} or {WHOLE!r}: choose one"
                )
            if self.stride:
                raise InputError(
                    f"got the window stride {self.stride} with the size {self.size!r}, expected "
                    "none: leave the stride out, or give the size in tokens"
                )
        elif isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 1:
            raise InputError(
                f"got the window size {self.size!r}, expected at least 1 token: raise it"
            )
        elif not 0 <= (self.stride or 0) <= self.size:
            raise InputError(
                f"got windows of {self.size} tokens and a stride of {self.stride}, expected a "
                "stride from 0 to the size, since a longer one skips tokens: reduce it"
            )


def tokenize(text: str, word_tokenizer: WordTokenizer = SPACY) -> TokenText:
    """Split a text into tokens; white space beyond a single space is a token too.

    Raises:
        InputError: The text has half of a surrogate pair.
        ConfigError: The word tokenizer is spaCy, which is not installed.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"got half of a surrogate pair at character {error.start}, expected Unicode text: "
            "decode the text in its own encoding"
        ) from error
    words, starts, ends = word_tokenizer.tokenize(text)
    return TokenText(text, words, starts, ends)


def join_words(words: Sequence[str]) -> TokenText:
    """Join words into a document, with single spaces.

    Raises:
        InputError: The input is a text, or has anything but texts.
    """
    if isinstance(words, str) or not all(isinstance(word, str) for word in words):
        raise InputError(
            f"got {str(words)[:80]!r}, expected a list of words for each document: pass such "
            "lists, or leave is_split_into_words out"
        )
    lengths = np.array([len(word) for word in words], dtype=np.int64)
    ends = np.cumsum(lengths + 1) - 1
    return TokenText(" ".join(words), tuple(words), ends - lengths, ends)


def split(
    document: TokenText,
    windowing: Windowing,
    *,
    doc_id: int = 0,
    word_tokenizer: WordTokenizer = SPACY,
) -> list[UpstreamWindow]:
    """Cut a document into windows.

    Windows of a number of tokens start every `stride` tokens. The last starts early enough to be
    as long as the others.

    Returns:
        Windows in order, every token in at least one; none for a document without tokens.
    """
    if windowing.size == SENTENCE:
        ranges = word_tokenizer.sentences(document.words)
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
    """Return the token of the first code point of a span, and one past the token of its last.

    Args:
        end: May come before `start`, as in predictions of upstream.
    """
    first = int(np.searchsorted(document.starts, start, side="right")) - 1
    last = int(np.searchsorted(document.ends, end, side="left"))
    return max(first, 0), min(last, len(document.words) - 1) + 1


def char_range(document: TokenText, first: int, last: int) -> tuple[int, int]:
    """Return the first code point of a range of tokens and one past their last.

    Raises:
        InputError: The document has no such tokens.
    """
    if not 0 <= first < last <= len(document.words):
        raise InputError(
            f"got a mention from word {first} to {last}, expected it within the "
            f"{len(document.words)} words of the text: give offsets of words"
        )
    return int(document.starts[first]), int(document.ends[last - 1])


def slice_words(document: TokenText, first: int, last: int) -> str:
    """Return the text of a range of tokens; "" for an empty range."""
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
