"""From the reader's logits to spans, links and triples: numpy only, one row at a time.

What differs from upstream ReLiK: an end never precedes its start, spans begin and end with
whole words, and the class NONE is never an answer.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from relik.types import FloatArray, IntArray

MAX_SPAN_TOKENS = 32
NIL_CLASS = 1
_SUREST = 1.0 - 1e-6

# Beyond this exp overflows.
_MAX_ODDS = 700.0


class ProposedSpan(NamedTuple):
    """What may be a mention, in token positions of its row.

    Args:
        start: First token.
        end: Last token, inclusive.
        mention: Probability that it is a mention, 0..1.
        only: The one class by which it is a mention; 0 where every one is welcome.
    """

    start: int
    end: int
    mention: float
    only: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedSpan:
    """A mention in token positions of its row.

    Args:
        start: First token.
        end: Last token, inclusive.
        mention: Probability that it is a mention, 0..1.
        links: Probability of each class (NONE, NIL, candidates), float32, sums to 1.
        only: As `ProposedSpan.only`.
    """

    start: int
    end: int
    mention: float
    links: FloatArray
    only: int = 0

    @property
    def best(self) -> int:
        """Return the best class: 1 for NIL, 2 + k for candidate k."""
        return int(self.links.argmax())

    @property
    def score(self) -> float:
        """Return the raw score: the span is a mention and means its best class, 0..1."""
        return self.mention * float(self.links[self.best])


@dataclass(frozen=True, slots=True)
class DecodedTriple:
    """A triple among the decoded spans of a row.

    Args:
        subject: Position of the subject among the spans.
        object: Position of the object.
        relation: Position of the relation among the candidates.
        score: Raw probability, 0..1.
    """

    subject: int
    object: int
    relation: int
    score: float


def softmax(logits: FloatArray) -> FloatArray:
    """Normalise along the last axis.

    Args:
        logits: Float32, any shape with at least one axis; -inf is allowed, not everywhere.

    Returns:
        Float32, same shape, sums to 1 along the last axis.
    """
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float32)


def pick_starts(
    logits: FloatArray, allowed: np.ndarray, *, least: float, most: int
) -> tuple[IntArray, FloatArray]:
    """Choose the tokens of a row at which a span may start.

    Args:
        logits: Float32, (n_tokens, 2).
        allowed: Bool, (n_tokens,), where a span may start.
        least: Least probability.
        most: Most starts; the most probable are kept.

    Returns:
        Tokens, int64, ascending, and their probabilities, float32.
    """
    scores = start_scores(logits, allowed)
    chosen = np.flatnonzero(scores >= max(least, 1e-6))
    if len(chosen) > most:
        chosen = np.sort(chosen[np.argsort(-scores[chosen], kind="stable")[:most]])
    return chosen.astype(np.int64), scores[chosen]


def start_scores(logits: FloatArray, allowed: np.ndarray) -> FloatArray:
    """Give the probability of each token of a row that a span starts there.

    Args:
        logits: Float32, (n_tokens, 2).
        allowed: Bool, (n_tokens,), where a span may start.

    Returns:
        Float32, (n_tokens,), 0 where none may.
    """
    return np.asarray(softmax(logits)[:, 1] * allowed, dtype=np.float32)


def end_scores(
    logits: FloatArray, starts: IntArray, allowed: np.ndarray, begun: FloatArray | None = None
) -> FloatArray:
    """Give the probability of each end of each start.

    Mentions do not overlap, so an end behind tokens where other mentions probably start is as
    improbable as that none of them does.

    Args:
        logits: Float32, (n_starts, n_tokens).
        starts: Int64, (n_starts,).
        allowed: Bool, (n_tokens,), where a span may end.
        begun: Float32, (n_tokens,), probability that a span starts at each token; None where
            that is not known.

    Returns:
        Float32, (n_starts, n_tokens), each row adds up to 1; all 0 where no end is allowed.
    """
    tokens = np.arange(logits.shape[1])
    reach = (tokens >= starts[:, None]) & (tokens < starts[:, None] + MAX_SPAN_TOKENS)
    open_ends = reach & allowed
    has_end = open_ends.any(axis=1)
    if begun is not None:
        alone = np.cumsum(np.log1p(-np.minimum(begun, _SUREST)))  # (n_tokens,)
        logits = logits + (alone[None, :] - alone[starts][:, None])
    masked = np.where(open_ends, logits, -np.inf)
    masked[~has_end] = 0.0
    return np.asarray(softmax(masked) * has_end[:, None], dtype=np.float32)


def pick_ends(scores: FloatArray) -> tuple[IntArray, FloatArray]:
    """Choose the end of each start.

    Args:
        scores: Float32, (n_starts, n_tokens), of `end_scores`.

    Returns:
        Last tokens, int64, and their probabilities, float32; -1 where no end is allowed.
    """
    best = scores.argmax(axis=1)
    found = scores[np.arange(len(scores)), best]
    return np.where(scores.any(axis=1), best, -1).astype(np.int64), found


def link_scores(logits: FloatArray, mask: np.ndarray) -> FloatArray:
    """Turn link logits into probabilities over NIL and candidates.

    Args:
        logits: Float32, (n_spans, n_classes).
        mask: Bool, (n_classes,), the classes of this row; class 0 is NONE.

    Returns:
        Float32, (n_spans, n_classes); NONE and padding get 0.
    """
    allowed = mask.copy()
    allowed[0] = False
    return softmax(np.where(allowed, logits, -np.inf))


def without_overlaps(
    spans: list[DecodedSpan], *, most: int, join: float | None = None
) -> list[DecodedSpan]:
    """Keep the best spans of a row that do not overlap.

    Args:
        spans: Spans of one row.
        most: Most spans to keep.
        join: Where `RulesConfig.join_overlaps` holds, the least score at which a span that gives
            way adds its probability to the one that it gives way to, if both mean one candidate.

    Returns:
        Spans by position.
    """
    kept: list[DecodedSpan] = []
    for span in sorted(spans, key=lambda s: (-s.score, s.start - s.end, s.start)):
        over = [k for k, o in enumerate(kept) if span.end >= o.start and span.start <= o.end]
        if not over and len(kept) < most:
            kept.append(span)
        elif join is not None and len(over) == 1 and span.score >= join:
            kept[over[0]] = _joined(kept[over[0]], span)
    return sorted(kept, key=lambda s: s.start)


def _joined(span: DecodedSpan, other: DecodedSpan) -> DecodedSpan:
    """Give a span the probability of another that it excludes, where both mean one candidate."""
    if not span.best == other.best != NIL_CLASS:
        return span
    mention = span.mention + other.score / float(span.links[span.best])
    return replace(span, mention=min(mention, 1.0))


def calibrated(raw: float, scale: float, shift: float) -> float:
    """Turn a raw score into a probability by Platt scaling.

    Args:
        raw: 0..1.
        scale: Multiplies the log-odds.
        shift: Added to them.

    Returns:
        0..1.
    """
    bounded = min(max(raw, 1e-6), 1.0 - 1e-6)
    return _probability(scale * math.log(bounded / (1.0 - bounded)) + shift)


def lowered(raw: float, by: float) -> float:
    """Take some log-odds from a raw score.

    Args:
        raw: 0..1.
        by: So many, not negative; 0 leaves the score as it is.

    Returns:
        0..1, never above `raw`.
    """
    if not by:
        return raw
    bounded = min(max(raw, 1e-6), 1.0 - 1e-6)
    return min(raw, _probability(math.log(bounded / (1.0 - bounded)) - by))


def with_ends(raw: float, ends: tuple[float, float], weight: float) -> float:
    """Take the doubt about the ends of a triple into its raw score.

    Args:
        raw: That the relation holds between them, 0..1.
        ends: Calibrated scores of subject and object, 0..1.
        weight: As `CalibrationConfig.triple_ends`.

    Returns:
        0..1, never above `raw`.
    """
    if not weight:
        return raw
    bounded = min(max(raw, 1e-6), 1.0 - 1e-6)
    doubt = sum(math.log(max(end, 1e-6)) for end in ends)
    return min(raw, _probability(math.log(bounded / (1.0 - bounded)) + weight * doubt))


def uncalibrated(score: float, scale: float, shift: float) -> float:
    """Give the raw score that `calibrated` turns into a score.

    Args:
        score: 0..1.
        scale: As for `calibrated`, not zero.
        shift: As for `calibrated`.

    Returns:
        0..1.
    """
    if score <= 0.0:
        return 0.0
    if score >= 1.0:
        return 1.0
    return _probability((math.log(score / (1.0 - score)) - shift) / scale)


def _probability(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(min(-odds, _MAX_ODDS)))
