"""Mentions of a batch: where spans start and end."""

from collections.abc import Sequence

import numpy as np

from relik.backends import ReaderBackend
from relik.reader.decode import (
    ProposedSpan,
    end_scores,
    pick_ends,
    pick_starts,
    start_scores,
)
from relik.reader.inputs import Row, begins_line, place_mention, text_mask
from relik.reader.rules.batch_rules import BatchRules
from relik.types import FloatArray, IntArray

# A name seldom goes on in the next line of a list.
_NEXT_LINE = 0.99


def propose_spans(
    backend: ReaderBackend,
    hidden: object,
    start_logits: FloatArray,
    rules: BatchRules,
    *,
    least: float,
    most: int,
) -> list[list[ProposedSpan]]:
    """Give what may be a mention in each row: the given mentions, or an end for each likely start.

    Args:
        backend: Runs the stage `ends`.
        hidden: States of the batch.
        start_logits: Float32, (n_rows, n_tokens, 2).
        rules: The rules over the batch.
        least: Least raw score of a span that is kept, 0..1.
        most: Most starts of a row.
    """
    rows = rules.rows
    # Ends lie in the text, and the candidates after it need no score.
    n_tokens = 1 + max(row.built.n_text for row in rows)
    start_logits = start_logits[:, :n_tokens]
    least = rules.least_start(least)
    found: list[list[ProposedSpan]] = [[] for _ in rows]
    picked: list[tuple[int, int, float]] = []
    for i, row in enumerate(rows):
        if row.given is not None:
            found[i] = [ProposedSpan(*place_mention(row, span), 1.0) for span in row.given]
            continue
        allowed = text_mask(row.text.begins_word, n_tokens)
        tokens, scores = pick_starts(start_logits[i], allowed, least=least, most=most)
        tokens, scores = rules.with_term_starts(i, tokens, scores, start_logits[i], allowed)
        picked.extend((i, int(t), float(s)) for t, s in zip(tokens, scores, strict=True))
    if not picked:
        return found
    of_row = np.array([i for i, _, _ in picked], dtype=np.int64)
    tokens = np.array([t for _, t, _ in picked], dtype=np.int64)
    logits = backend.ends(hidden, of_row, tokens, n_tokens=n_tokens)
    for i in np.unique(of_row):
        mine = np.flatnonzero(of_row == i)
        starts = [picked[k][1:] for k in mine]
        allowed = text_mask(rows[i].text.ends_word, n_tokens)
        begun = _begun_scores(rows[i], start_logits[i])
        scores = end_scores(logits[mine], tokens[mine], allowed, begun)
        found[i] = _ended(starts, rules.without_bare_words(i, scores, tokens[mine]), rules, i)
    return found


def _ended(
    starts: Sequence[tuple[int, float]], scores: FloatArray, rules: BatchRules, i: int
) -> list[ProposedSpan]:
    """Give the best end of each start, and the terms of the row that none of them is."""
    spans = [
        ProposedSpan(start, int(end), of_start * float(score))
        for (start, of_start), end, score in zip(starts, *pick_ends(scores), strict=True)
        if end >= 0
    ]
    ends = {start: (of_start, scores[k]) for k, (start, of_start) in enumerate(starts)}
    return [*spans, *rules.term_spans(i, spans, ends)]


def _begun_scores(row: Row, start_logits: FloatArray) -> FloatArray:
    """Give the probability that no mention goes on from before a token to after it.

    Args:
        row: A row.
        start_logits: Float32, (n_tokens, 2).

    Returns:
        Float32, (n_tokens,): that a span starts there, or that a list or a table has its next line.
    """
    n_tokens = len(start_logits)
    starts = start_scores(start_logits, text_mask(row.text.begins_word, n_tokens))
    lines = text_mask(begins_line(row.window.text, row.text.starts), n_tokens)
    return np.maximum(starts, np.float32(_NEXT_LINE) * lines)


def span_columns(spans: Sequence[Sequence[tuple[int, int]]]) -> tuple[IntArray, IntArray, IntArray]:
    """Lay the spans of a batch out as the stages of the reader take them.

    Args:
        spans: For each row, first and last tokens.

    Returns:
        Row, first token and last token of each span, int64, (n_spans,) each.
    """
    flat = [(i, first, last) for i, of_row in enumerate(spans) for first, last in of_row]
    rows, firsts, lasts = np.array(flat, dtype=np.int64).reshape(-1, 3).T
    return rows, firsts, lasts
