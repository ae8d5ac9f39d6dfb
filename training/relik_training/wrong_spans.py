"""Spans that are no mentions, for a reader of a closed schema to refuse.

Source: negative sampling of SpERT (Eberts and Ulges 2020, section 3.4), of which half are as long
as a mention may be, anywhere, and half have one boundary of a mention and miss the other.
"""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from relik.reader.inputs import TextTokens

_LONGEST = 6
_MISSED = 2


def wrong_spans(
    text: TextTokens,
    mentions: Collection[tuple[int, int]],
    number: int,
    rng: np.random.Generator,
) -> list[tuple[int, int]]:
    """Draw spans of whole words that are not among the mentions.

    Args:
        text: Tokens of a window.
        mentions: First and last token of each mention, as positions in the text.
        number: How many are drawn; those that are mentions, or that were drawn before, are left
            out, so that fewer may come.
        rng: Where chance comes from.

    Returns:
        First and last token of each, by position.
    """
    begins = np.flatnonzero(text.begins_word)
    ends = np.flatnonzero(text.ends_word)
    # A word that is cut off at the edge of the window has one of the two only.
    n_words = min(len(begins), len(ends))
    if not n_words:
        return []
    words = [
        (int(np.searchsorted(begins, first)), int(np.searchsorted(ends, last)))
        for first, last in sorted(mentions)
    ]
    drawn = set()
    for turn in range(number):
        if words and turn % 2:
            first, last = _near(words[int(rng.integers(len(words)))], rng)
        else:
            first = int(rng.integers(n_words))
            last = first + int(rng.integers(_LONGEST))
        if 0 <= first <= last < n_words:
            drawn.add((int(begins[first]), int(ends[last])))
    return sorted(span for span in drawn - set(mentions) if span[0] <= span[1])


def wrong_pairs(mentions: Sequence[int], wrong: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Pair each span that is no mention with the mentions of its row, both ways.

    Args:
        mentions: Row of each mention.
        wrong: Row of each span that is none; these are numbered behind the mentions.

    Yields:
        Numbers of subject and object, and their row.
    """
    for k, row in enumerate(wrong, len(mentions)):
        for i, own in enumerate(mentions):
            if own == row:
                yield i, k, row
                yield k, i, row


def _near(word: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """Move one boundary of a mention, in words."""
    moved = list(word)
    moved[int(rng.integers(2))] += int(rng.choice([-1, 1])) * int(rng.integers(1, _MISSED + 1))
    return moved[0], moved[1]
