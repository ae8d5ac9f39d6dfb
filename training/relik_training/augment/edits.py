"""Edits of annotated windows, which move every label along, and random typing errors."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from relik.types import Span
from relik_training.data.examples import Example

# In shorter words a typing error often makes another word.
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A replacement of a range of the text.

    Args:
        start: First code point of the range.
        end: One past the last; equal to `start` for an insertion.
    """

    start: int
    end: int
    text: str


def edited(example: Example, edits: Sequence[Edit]) -> Example:
    """Edit the text of a window.

    Args:
        edits: Sorted and without overlaps; none crosses the edge of a mention or deletes one.

    Returns:
        The window with the new text, and with mentions and unknown spans at the same words.

    Raises:
        ValueError: The edits are not sorted, overlap, or lie outside the text.
    """
    pieces, at = [], 0
    for edit in edits:
        if not at <= edit.start <= edit.end <= len(example.text):
            raise ValueError(
                f"got an edit of {edit.start}..{edit.end} in a text of {len(example.text)} that "
                f"is edited up to {at}, expected sorted edits without overlaps: sort them"
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
            # An unknown span may begin inside the replaced range: it then covers all of it.
            start -= span.start - edit.start
        if edit.start < span.end:
            end += grown + max(0, edit.end - span.end)
    return Span(start, end)


def mistyped(example: Example, share: float, rng: np.random.Generator) -> Example:
    """Put typing errors into some words of a window: transposed, missing or doubled letters.

    The first letter stays, as in most real errors. Words with the edge of a label inside are left
    alone.

    Args:
        share: Share of words of four letters or more to change, 0..1.
    """
    spans = (*(mention.span for mention in example.mentions), *example.unknown)
    edges = {edge for span in spans for edge in (span.start, span.end)}
    edits = []
    for match in _WORD.finditer(example.text):
        if rng.random() >= share:
            continue
        at = int(rng.integers(match.start() + 1, match.end() - 1))
        kind = int(rng.integers(3))
        if not any(match.start() < edge < match.end() for edge in edges):
            edits.append(_typing_error(example.text, at, kind))
    return edited(example, edits)


def _typing_error(text: str, at: int, kind: int) -> Edit:
    if kind == 0:
        return Edit(start=at, end=at + 2, text=text[at + 1] + text[at])
    return Edit(start=at, end=at + 1, text="" if kind == 1 else text[at] * 2)
