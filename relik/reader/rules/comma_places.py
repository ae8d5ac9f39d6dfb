"""Two places in one stretch of text: "Dearborn, Michigan".

Encyclopedias link such a stretch as a whole, by the title of a page; news, and people who read
them, name two places (CoNLL-2003). A reader that has seen both wavers, and may find neither.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from relik.kb import KnowledgeBase
from relik.names.normalise import tokenise_surface
from relik.names.resolve import resolve_key
from relik.reader.inputs import Row
from relik.types import FloatArray

MAX_WORDS = 4
# What follows a name behind a comma, and is no place though records are called so.
_SUFFIXES = frozenset({"jr", "sr", "inc", "ltd", "llc", "plc", "co", "corp", "esq", "md", "phd"})


def places_apart(
    kb: KnowledgeBase, rows: Sequence[Row], starts: FloatArray, *, apart: bool
) -> FloatArray:
    """Let the second of two places begin a mention where the first does, which ends that.

    Args:
        kb: Knowledge base of the entities.
        rows: What is read.
        starts: Float32, (n_rows, n_tokens, 2), logits of starts.
        apart: As `RulesConfig.places_apart`; without it, and over a list of terms, all stay as
            they are.

    Returns:
        Float32, same shape.
    """
    if not apart or kb.any_case:
        return starts
    changed = starts.copy()
    for i, row in enumerate(rows):
        for first, second in two_places(kb, row.window.text) if row.given is None else ():
            # One before the first token stands the mark that begins a row.
            begin = 1 + np.flatnonzero(row.text.starts == first)
            other = 1 + np.flatnonzero(row.text.starts == second)
            if len(begin) and len(other) and other[0] <= row.built.n_text:
                odds = changed[i, [begin[0], other[0]]]
                if odds[0, 1] - odds[0, 0] > odds[1, 1] - odds[1, 0]:
                    changed[i, other[0]] = odds[0]
    return changed


def two_places(kb: KnowledgeBase, text: str) -> Iterator[tuple[int, int]]:
    """Find where a record's name has a comma, and both its parts are names as well.

    Args:
        kb: Knowledge base of the entities.
        text: Any text.

    Returns:
        First code points of both parts. The first names the same record as the whole, the second
        means another.
    """
    if "," not in text:
        return
    words = tokenise_surface(text)
    for k in range(1, len(words)):
        if text[words[k - 1][2] : words[k][1]].strip() != "," or words[k][0] in _SUFFIXES:
            continue
        if text[words[k][1]].isupper() and len(words[k][0]) > 1:
            yield from _around(kb, words, k, text)


def _around(
    kb: KnowledgeBase, words: Sequence[tuple[str, int, int]], k: int, text: str
) -> Iterator[tuple[int, int]]:
    """Find the longest names on both sides of a comma before word k."""
    for n_before in range(min(MAX_WORDS, k), 0, -1):
        first = words[k - n_before : k]
        if not text[first[0][1]].isupper():
            continue
        for n_behind in range(min(MAX_WORDS, len(words) - k), 0, -1):
            second = words[k : k + n_behind]
            whole = _named(kb, [*first, *second])
            other = _named(kb, second)[:1] if whole else []
            # A town may go by the name of its state, but that means the state more often.
            apart = bool(other) and other[0] not in whole
            if apart and not set(whole).isdisjoint(_named(kb, first)):
                yield first[0][1], second[0][1]
                return


def _named(kb: KnowledgeBase, words: Sequence[tuple[str, int, int]]) -> list[int]:
    key = " ".join(word for word, _, _ in words)
    return [sense.row for sense in resolve_key(kb, key, lower=False, formed=False) if sense.whole]
