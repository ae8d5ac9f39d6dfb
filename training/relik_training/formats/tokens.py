"""Texts as tokens and tokens as texts, for the formats that count tokens."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from relik_training.formats.annotated import Record, select
from relik_training.formats.conversion_report import Report

TEXT_KEY = "_text"
"""Where our own files keep the text that tokens were cut from; readers of others pass over it."""

_WORD = re.compile(r"\S+")
# What is left of Ann's behind a mention of Ann; else an apostrophe is a quotation mark.
_CLITIC = re.compile(r"['\u2019](?:s|d|m|ll|re|ve)", re.IGNORECASE)
_STANDS_ALONE = re.compile(r"(?<!\S)[.,;:!?](?!\S)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A document in tokens.

    Args:
        texts: The tokens; none has white space when we cut them.
        offsets: Start and end of each in code points of the text.
        first: Start of a token -> its index.
        last: End of a token -> its index.
    """

    texts: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    first: dict[int, int]
    last: dict[int, int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Give a mention in tokens.

        Args:
            start: Its first code point, which begins a token.
            end: One past its last code point, which ends a token.

        Returns:
            Its first token, and one past its last.
        """
        return self.first[start], self.last[end] + 1


def cut(record: Record) -> Tokens:
    """Cut the text of a record into tokens: at white space, at mentions, at punctuation.

    A text whose punctuation stands alone already was cut by others, and is cut at white space
    and mentions only.

    Args:
        record: A document whose mentions neither begin nor end with white space.

    Returns:
        Its tokens; every mention is whole tokens.
    """
    text = record.text
    edges = {edge for mention in record.mentions for edge in (mention.start, mention.end)}
    loose = not stands_apart(text)
    points: list[tuple[int, int]] = []
    for word in _WORD.finditer(text):
        inner = sorted(edge for edge in edges if word.start() < edge < word.end())
        cuts = {word.start(), *inner, word.end()}
        if loose:
            # Of each piece: joined by spaces again they are words, and are cut as such.
            for start, end in pairwise([word.start(), *inner, word.end()]):
                cuts.update(_punctuation_edges(text, start, end))
        points.extend(pairwise(sorted(cuts)))
    return _tokens(text, points)


def join(sentences: Sequence[Sequence[str]], text: object = None) -> tuple[str, Tokens]:
    """Make a text of tokens: a space between tokens, a line feed between sentences.

    Args:
        sentences: Tokens of each sentence.
        text: The text they were cut from, if it is known; it is taken if it has these tokens.

    Returns:
        The text and its tokens.

    Raises:
        TypeError: A token is no string.
    """
    if isinstance(text, str):
        points = _found(text, [token for sentence in sentences for token in sentence])
        if points is not None:
            return text, _tokens(text, points)
    points, parts, offset = [], [], 0
    for number, sentence in enumerate(sentences):
        for position, token in enumerate(sentence):
            if number or position:
                parts.append(" " if position else "\n")
                offset += 1
            parts.append(token)
            points.append((offset, offset + len(token)))
            offset += len(token)
    joined = "".join(parts)
    return joined, _tokens(joined, points)


def sentences(text: str, tokens: Tokens, whole: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Find the sentences of a text: its lines, but never a line end inside something whole.

    Args:
        text: The text.
        tokens: Its tokens.
        whole: First token and one past the last of what stays in one sentence.

    Returns:
        First token and one past the last of each sentence.
    """
    held = [0] * (len(tokens.offsets) + 1)
    for start, end in whole:
        held[start + 1] += 1
        held[end] -= 1
    found, begin, depth = [], 0, 0
    for index in range(1, len(tokens.offsets)):
        depth += held[index]
        between = text[tokens.offsets[index - 1][1] : tokens.offsets[index][0]]
        if depth == 0 and ("\n" in between or "\r" in between):
            found.append((begin, index))
            begin = index
    if tokens.offsets:
        found.append((begin, len(tokens.offsets)))
    return found


def stands_apart(text: str) -> bool:
    """Tell whether the punctuation of a text stands alone, as tokens joined by spaces have it.

    Args:
        text: A text.

    Returns:
        True if some mark of punctuation has white space on both sides.
    """
    return _STANDS_ALONE.search(text) is not None


def in_tokens(record: Record, report: Report) -> Record | None:
    """Take white space off the edges of mentions, which tokens cannot hold.

    Args:
        record: A document.
        report: Counts the mentions that change, and those that are only white space.

    Returns:
        The document with the rest, or None if it has no token.
    """
    if not record.text.strip():
        report.drop("document without text", doc_id=record.doc_id)
        return None
    mentions, kept = [], []
    for mention in record.mentions:
        surface = record.surface(mention)
        start = mention.start + len(surface) - len(surface.lstrip())
        end = mention.end - len(surface) + len(surface.rstrip())
        if start >= end:
            span = (mention.start, mention.end)
            report.drop("span of white space", doc_id=record.doc_id, span=span)
        elif (start, end) != (mention.start, mention.end):
            report.note("spans that lost white space at their edges")
            mention = replace(mention, start=start, end=end)
        kept.append(start < end)
        mentions.append(mention)
    return select(replace(record, mentions=tuple(mentions)), kept, report)


def _tokens(text: str, points: list[tuple[int, int]]) -> Tokens:
    return Tokens(
        texts=tuple(text[start:end] for start, end in points),
        offsets=tuple(points),
        first={start: index for index, (start, _) in enumerate(points)},
        last={end: index for index, (_, end) in enumerate(points)},
    )


def _punctuation_edges(text: str, start: int, end: int) -> list[int]:
    """Say where the punctuation around a word is cut off; "..." stays one token."""
    found: list[int] = []
    if _CLITIC.fullmatch(text, start, end):
        return found
    while start < end - 1 and _is_punctuation(text[start]):
        start += 1
        if text[start] != text[start - 1]:
            found.append(start)
    while end > start + 1 and _is_punctuation(text[end - 1]):
        end -= 1
        if text[end] != text[end - 1]:
            found.append(end)
    return found


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] == "P"


def _found(text: str, tokens: Sequence[str]) -> list[tuple[int, int]] | None:
    points, end = [], 0
    for token in tokens:
        start = text.find(token, end) if token else -1
        if start < 0 or text[end:start].strip():
            return None
        end = start + len(token)
        points.append((start, end))
    return None if text[end:].strip() else points
