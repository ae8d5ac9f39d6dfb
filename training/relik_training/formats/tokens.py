"""Tokenisation and detokenisation for the formats whose offsets count tokens."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from relik_training.formats.annotated import Record, select
from relik_training.formats.conversion_report import Report

TEXT_KEY = "_text"
"""Field for the original text in files that we write; other readers ignore it."""

_WORD = re.compile(r"\S+")
# The clitic that follows a mention, as in Ann's; any other apostrophe is a quotation mark.
_CLITIC = re.compile(r"['\u2019](?:s|d|m|ll|re|ve)", re.IGNORECASE)
_STANDS_ALONE = re.compile(r"(?<!\S)[.,;:!?](?!\S)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens of a document.

    Args:
        offsets: Start and end of each token in code points of the text.
        first: Index of a token by its start.
        last: Index of a token by its end.
    """

    texts: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    first: dict[int, int]
    last: dict[int, int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Convert a span in code points to its first token and one past its last.

        Args:
            start: Start of a token.
            end: End of a token.
        """
        return self.first[start], self.last[end] + 1


def cut(record: Record) -> Tokens:
    """Split the text of a record into tokens at white space, mentions and punctuation.

    A text that is already tokenised is split at white space and mentions only.

    Args:
        record: A document whose mentions neither begin nor end with white space.

    Returns:
        Its tokens; every mention consists of whole tokens.
    """
    text = record.text
    edges = {edge for mention in record.mentions for edge in (mention.start, mention.end)}
    is_untokenised = not is_pretokenised(text)
    points: list[tuple[int, int]] = []
    for word in _WORD.finditer(text):
        inner = sorted(edge for edge in edges if word.start() < edge < word.end())
        cuts = {word.start(), *inner, word.end()}
        if is_untokenised:
            # By piece, so that splitting the tokens joined by spaces gives the same tokens.
            for start, end in pairwise([word.start(), *inner, word.end()]):
                cuts.update(_punctuation_edges(text, start, end))
        points.extend(pairwise(sorted(cuts)))
    return _tokens(text, points)


def join(sentences: Sequence[Sequence[str]], text: object = None) -> tuple[str, Tokens]:
    """Join tokens by spaces and sentences by line feeds.

    Args:
        sentences: Tokens of each sentence.
        text: The original text, which is used if it has exactly these tokens.

    Returns:
        The text and its tokens.

    Raises:
        TypeError: A token is not a string.
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
    """Split the tokens of a text into sentences at line ends.

    Args:
        whole: Token ranges, first and one past the last, that no sentence boundary may split.

    Returns:
        First token and one past the last of each sentence.
    """
    depth_change = [0] * (len(tokens.offsets) + 1)
    for start, end in whole:
        depth_change[start + 1] += 1
        depth_change[end] -= 1
    found, begin, depth = [], 0, 0
    for index in range(1, len(tokens.offsets)):
        depth += depth_change[index]
        between = text[tokens.offsets[index - 1][1] : tokens.offsets[index][0]]
        if depth == 0 and ("\n" in between or "\r" in between):
            found.append((begin, index))
            begin = index
    if tokens.offsets:
        found.append((begin, len(tokens.offsets)))
    return found


def is_pretokenised(text: str) -> bool:
    """Tell whether a text is tokens joined by spaces: some punctuation has space on both sides."""
    return _STANDS_ALONE.search(text) is not None


def in_tokens(record: Record, report: Report) -> Record | None:
    """Strip white space from mentions, because tokens have none.

    Args:
        report: Counts the mentions that change, and those that are only white space.

    Returns:
        The document, or None if it has no tokens.
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
            report.drop("span of white space", doc_id=record.doc_id, span=mention.span)
        elif (start, end) != mention.span:
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
    """Return where to split punctuation off a word; a run such as "..." stays one token."""
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
