"""Slips of the finger: two letters swapped, one left out, one doubled."""

import re

import numpy as np

from relik_training.edits import Edit, edited
from relik_training.examples import Example

# In shorter words a slip often makes another word.
_WORD = re.compile(r"[^\W\d_]{4,}")


def mistyped(example: Example, share: float, rng: np.random.Generator) -> Example:
    """Mistype some words of a window.

    The first letter stays, as it mostly does in real slips. Words that a label begins or ends
    inside are left alone.

    Args:
        example: The window.
        share: Share of words of four letters or more that are mistyped, 0..1.
        rng: Draws words, letters and slips.

    Returns:
        The window with its labels where their words are now.
    """
    spans = (*(mention.span for mention in example.mentions), *example.unknown)
    edges = {edge for span in spans for edge in (span.start, span.end)}
    edits = []
    for match in _WORD.finditer(example.text):
        if rng.random() >= share:
            continue
        at = int(rng.integers(match.start() + 1, match.end() - 1))
        slip = int(rng.integers(3))
        if not any(match.start() < edge < match.end() for edge in edges):
            edits.append(_slip(example.text, at, slip))
    return edited(example, edits)


def _slip(text: str, at: int, slip: int) -> Edit:
    if slip == 0:
        return Edit(start=at, end=at + 2, text=text[at + 1] + text[at])
    return Edit(start=at, end=at + 1, text="" if slip == 1 else text[at] * 2)
