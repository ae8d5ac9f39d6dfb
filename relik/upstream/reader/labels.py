"""From the logits of a released reader to spans and labels: numpy only, one row at a time.

With quirks an end may precede its start, the class NONE is the last candidate, and a span of a
reader of relations grows to where both its ends meet the end of a word, as in upstream 1.0.7.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relik.reader.decode import softmax
from relik.types import FloatArray, IntArray
from relik.upstream.text.subwords import WordTokens
from relik.upstream.text.token_windows import UpstreamWindow

N_BEST = 5
"""Candidates that are kept of each span."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpan:
    """A span by the tokens of its row.

    Args:
        start: First token.
        end: Last token.
        score: Probability that it is a mention, 0..1.
        chars: Where it lies in the document, if the caller said so.
    """

    start: int
    end: int
    score: float
    chars: tuple[int, int] | None = None


def pick_starts(logits: FloatArray, n_text: int) -> tuple[IntArray, FloatArray]:
    """Choose the tokens of a row at which spans start.

    Args:
        logits: Float32, (n_tokens, 2), of no and yes.
        n_text: Tokens of text; they stand at 1..n_text.

    Returns:
        Tokens, int64, ascending, and the probability of each, float32, 0..1.
    """
    chosen = 1 + np.flatnonzero(logits[1 : n_text + 1, 1] > logits[1 : n_text + 1, 0])
    return chosen.astype(np.int64), softmax(logits[chosen])[:, 1]


def pick_end(logits: FloatArray, start: int, n_text: int, *, quirks: bool) -> TokenSpan:
    """Choose the one end of a start.

    Args:
        logits: Float32, (n_tokens,).
    """
    first = 1 if quirks else start
    scores = softmax(logits[first : n_text + 1])
    best = int(scores.argmax())
    return TokenSpan(start=start, end=first + best, score=float(scores[best]))


def pick_ends(logits: FloatArray, start: int, n_text: int, *, backwards: bool) -> list[TokenSpan]:
    """Choose all ends of a start.

    Args:
        logits: Float32, (n_tokens, 2), of no and yes.
    """
    first = 1 if backwards else start
    inside = logits[first : n_text + 1]
    scores = softmax(inside)[:, 1]
    return [
        TokenSpan(start=start, end=int(first + k), score=float(scores[k]))
        for k in np.flatnonzero(inside[:, 1] > inside[:, 0])
    ]


def link_scores(logits: FloatArray, *, quirks: bool) -> FloatArray:
    """Turn link logits into probabilities.

    Args:
        logits: Float32, (n_spans, n_classes), of NONE and of what the row shows.

    Returns:
        Float32, (n_spans, n_classes), sums to 1; NONE gets 0 without quirks.
    """
    if quirks:
        return softmax(logits)
    scores = np.zeros_like(logits)
    scores[:, 1:] = softmax(logits[:, 1:])
    return scores


def label_of(scores: FloatArray, labels: Sequence[str]) -> str | None:
    """Name the best class of a span.

    Args:
        scores: Float32, (n_classes,), of NONE and of the labels, and of forged markers behind.

    Returns:
        Its label; of NONE the last one; None where the class is a forged marker and means nothing,
        or where there are no labels.
    """
    best = int(scores.argmax()) - 1
    return labels[best] if labels and best < len(labels) else None


def best_candidates(scores: FloatArray, labels: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Give the best candidates of a span.

    Args:
        scores: Float32, (n_classes,), 0..1.
        labels: What the classes mean, from the first; further ones are left out.

    Returns:
        At most `N_BEST` labels with their scores, best first.
    """
    known = scores[: len(labels)]
    order = np.argsort(-known, kind="stable")[:N_BEST]
    return tuple((labels[k], float(known[k])) for k in order)


def sigmoid(logits: FloatArray) -> FloatArray:
    """Turn logits into probabilities, each on its own.

    Args:
        logits: Float32, any shape.

    Returns:
        Float32, same shape, 0..1.
    """
    # exp of a large negative number is 0; of a large positive one it would overflow.
    small = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits >= 0, 1.0, small) / (1.0 + small), dtype=np.float32)


def rounded(score: float) -> float:
    """Round a probability as upstream does, to two decimals in float32.

    Args:
        score: 0..1.

    Returns:
        0..1, such as 0.5299999713897705.
    """
    return float(np.round(np.float32(score), 2))


def token_chars(span: TokenSpan, text: WordTokens) -> tuple[int, int]:
    """Place a span in its document by its own tokens.

    Args:
        text: The tokens of its window; the first has position 1 in the row.

    Returns:
        First code point and one past the last; the other way round where the end precedes.
    """
    return int(text.starts[span.start - 1]), int(text.ends[span.end - 1])


def word_chars(
    span: TokenSpan, text: WordTokens, window: UpstreamWindow, *, quirks: bool
) -> tuple[int, int]:
    """Place a span in its document by whole words.

    Args:
        quirks: Walk to the next token that begins or ends exactly where a word does, which can be
            that of another word; else take the words that the tokens are of.
    """
    first, last = span.start - 1, span.end - 1
    if quirks:
        begins, ends = np.isin(text.starts, window.starts), np.isin(text.ends, window.ends)
        before, behind = np.flatnonzero(begins[: first + 1]), np.flatnonzero(ends[last:])
        if len(before) and len(behind):
            return int(text.starts[before[-1]]), int(text.ends[last + behind[0]])
    return int(window.starts[text.words[first]]), int(window.ends[text.words[last]])


def tokens_under(chars: tuple[int, int], text: WordTokens) -> tuple[int, int] | None:
    """Find the tokens of a mention that is given.

    Returns:
        First and last token, by their positions in the row; None where it has none.
    """
    touched = np.flatnonzero((text.ends > chars[0]) & (text.starts < chars[1]))
    if not len(touched):
        return None
    return int(touched[0]) + 1, int(touched[-1]) + 1
