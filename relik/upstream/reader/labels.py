"""Decoding of a released reader's logits to spans and labels, in numpy, one row at a time.

With quirks, as in upstream 1.0.7, an end may precede its start, the class NONE is the last
candidate, and spans of relation readers grow until both ends are ends of words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relik.reader.decode import softmax
from relik.types import FloatArray, IntArray
from relik.upstream.text.subwords import WordTokens
from relik.upstream.text.token_windows import UpstreamWindow

N_BEST = 5
"""Candidates to keep for each span."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpan:
    """A span in tokens of its row.

    Args:
        start: First token.
        end: Last token.
        score: Probability that it is a mention, 0..1.
        chars: Its code points in the document, for a mention that the caller gave.
    """

    start: int
    end: int
    score: float
    chars: tuple[int, int] | None = None


def pick_starts(logits: FloatArray, n_text: int) -> tuple[IntArray, FloatArray]:
    """Return the tokens where spans start, int64, ascending, and their probabilities, float32.

    Args:
        logits: Float32, (n_tokens, 2), of no and yes.
        n_text: Tokens of text, at 1..n_text.
    """
    chosen = 1 + np.flatnonzero(logits[1 : n_text + 1, 1] > logits[1 : n_text + 1, 0])
    return chosen.astype(np.int64), softmax(logits[chosen])[:, 1]


def pick_end(logits: FloatArray, start: int, n_text: int, *, quirks: bool) -> TokenSpan:
    """Return the best end of a start, from logits of all tokens, (n_tokens,)."""
    first = 1 if quirks else start
    scores = softmax(logits[first : n_text + 1])
    best = int(scores.argmax())
    return TokenSpan(start=start, end=first + best, score=float(scores[best]))


def pick_ends(logits: FloatArray, start: int, n_text: int, *, backwards: bool) -> list[TokenSpan]:
    """Return all ends of a start, from logits of no and yes of all tokens, (n_tokens, 2)."""
    first = 1 if backwards else start
    inside = logits[first : n_text + 1]
    scores = softmax(inside)[:, 1]
    return [
        TokenSpan(start=start, end=int(first + k), score=float(scores[k]))
        for k in np.flatnonzero(inside[:, 1] > inside[:, 0])
    ]


def link_scores(logits: FloatArray, *, quirks: bool) -> FloatArray:
    """Return link probabilities, (n_spans, n_classes), which sum to 1; NONE is 0 without quirks.

    Args:
        logits: Float32, (n_spans, n_classes), of NONE and of the candidates of the row.
    """
    if quirks:
        return softmax(logits)
    scores = np.zeros_like(logits)
    scores[:, 1:] = softmax(logits[:, 1:])
    return scores


def label_of(scores: FloatArray, labels: Sequence[str]) -> str | None:
    """Return the label of a span's best class.

    Args:
        scores: Float32, (n_classes,), of NONE, the labels, and markers forged by the text.

    Returns:
        The label; for NONE the last label, as in upstream; None for a forged marker or without
        labels.
    """
    best = int(scores.argmax()) - 1
    return labels[best] if labels and best < len(labels) else None


def best_candidates(scores: FloatArray, labels: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Return at most `N_BEST` labels of a span with their scores, best first.

    Args:
        scores: Float32, (n_classes,), 0..1; classes beyond the labels are ignored.
    """
    known = scores[: len(labels)]
    order = np.argsort(-known, kind="stable")[:N_BEST]
    return tuple((labels[k], float(known[k])) for k in order)


def sigmoid(logits: FloatArray) -> FloatArray:
    """Return the sigmoid of float32 logits of any shape."""
    # exp of a large negative number is 0, but of a large positive number it overflows.
    small = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits >= 0, 1.0, small) / (1.0 + small), dtype=np.float32)


def round_score(score: float) -> float:
    """Round a probability to two decimals in float32, as upstream does: 0.5299999713897705."""
    return float(np.round(np.float32(score), 2))


def token_chars(span: TokenSpan, text: WordTokens) -> tuple[int, int]:
    """Return the first code point of a span and one past its last, by its tokens.

    Args:
        text: Tokens of the window, from position 1 in the row.
    """
    return int(text.starts[span.start - 1]), int(text.ends[span.end - 1])


def word_chars(
    span: TokenSpan, text: WordTokens, window: UpstreamWindow, *, quirks: bool
) -> tuple[int, int]:
    """Return the first code point of a span and one past its last, in whole words.

    Args:
        quirks: Grow to the next token that starts or ends exactly where a word does, which may
            belong to another word; else use the words of its tokens.
    """
    first, last = span.start - 1, span.end - 1
    if quirks:
        starts, ends = np.isin(text.starts, window.starts), np.isin(text.ends, window.ends)
        before, after = np.flatnonzero(starts[: first + 1]), np.flatnonzero(ends[last:])
        if len(before) and len(after):
            return int(text.starts[before[-1]]), int(text.ends[last + after[0]])
    return int(window.starts[text.words[first]]), int(window.ends[text.words[last]])


def overlapping_tokens(chars: tuple[int, int], text: WordTokens) -> tuple[int, int] | None:
    """Return the first and last token, by position in the row, that a mention overlaps, or None."""
    touched = np.flatnonzero((text.ends > chars[0]) & (text.starts < chars[1]))
    if not len(touched):
        return None
    return int(touched[0]) + 1, int(touched[-1]) + 1
