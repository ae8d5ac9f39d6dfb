"""Examples whose text is edited, with every label moved along."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from relik.types import Span
from relik_training.data.examples import Example

# In shorter words a slip often makes another word.
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A piece of text in place of another.

    Args:
        start: First code point that is replaced.
        end: One past the last; `start` where text is put in.
        text: What stands there afterwards.
    """

    start: int
    end: int
    text: str


def edited(example: Example, edits: Sequence[Edit]) -> Example:
    """Edit the text of a window.

    Args:
        example: The window.
        edits: Sorted, none overlapping; none reaches over the edge of a mention, and none leaves
            a mention empty.

    Returns:
        The window with the new text; mentions and unknown spans cover what they covered.

    Raises:
        ValueError: The edits are not sorted, overlap, or lie outside the text.
    """
    pieces, at = [], 0
    for edit in edits:
        if not at <= edit.start <= edit.end <= len(example.text):
            raise ValueError(
                f"got an edit of {edit.start}..{edit.end} in a text of {len(example.text)} that "
                f"is edited up to {at}, expected sorted edits apart from each other: sort them"
            )
        pieces += [example.text[at : edit.start], edit.text]
        at = edit.end
    pieces.append(example.text[at:])
    return replace(
        example,
        text="".join(pieces),
        mentions=tuple(replace(m, span=_moved(m.span, edits)) for m in example.mentions),
        unknown=tuple(_moved(span, edits) for span in example.unknown),
    )


def _moved(span: Span, edits: Sequence[Edit]) -> Span:
    start, end = span.start, span.end
    for edit in edits:
        grown = len(edit.text) - (edit.end - edit.start)
        if edit.end <= span.start:
            start += grown
        elif edit.start < span.start:
            # A span of doubt may begin inside what is replaced: it then covers all of it.
            start -= span.start - edit.start
        if edit.start < span.end:
            end += grown + max(0, edit.end - span.end)
    return Span(start, end)


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
