"""Mentions of terms: what a list of diseases or goods names needs less to be a mention.

A reader learns from names, which stand out by their capitals; it finds terms, in lower case and of
a trade it never read about, improbable everywhere. That a text has exactly the name of a record
is evidence of its own, which knowledge-base matchers such as QuickUMLS (Soldaini and Goharian,
2016) live on alone. Both are joined as log-odds.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from relik.kb import KnowledgeBase
from relik.names.gazetteer import likely_terms
from relik.reader.decode import NIL_CLASS, DecodedSpan, start_scores
from relik.reader.inputs import Row, place_mention
from relik.types import FloatArray, IntArray, Span

Places: TypeAlias = dict[tuple[int, int], frozenset[int]]
"""Records by first and last token of a term."""

_LEAST, _MOST = 1e-9, 1.0 - 1e-9


def lifted(probability: float, weight: float) -> float:
    """Add to the log-odds of a probability.

    Args:
        probability: 0..1.
        weight: What to add; below 0 it becomes less probable.

    Returns:
        Probability, 0..1; 0 and 1 as good as stay.
    """
    held = min(max(probability, _LEAST), _MOST)
    return 1.0 / (1.0 + math.exp(-weight) * (1.0 - held) / held)


def term_places(kb: KnowledgeBase, row: Row) -> Places:
    """Find the longest terms of a window.

    Args:
        kb: Knowledge base of the candidates.
        row: The window and its tokens.

    Returns:
        Rows of the knowledge base that have the name, by first and last token, as row positions,
        in order; of those that were read.
    """
    offset = row.window.span.start
    found: Places = {}
    for span, senses in likely_terms(kb, row.window.text):
        place = place_mention(row, Span(span.start + offset, span.end + offset))
        if place[1] <= row.built.n_text:
            found[place] = frozenset(sense.row for sense in senses)
    return found


def with_starts(
    places: Iterable[tuple[int, int]], chosen: IntArray, logits: FloatArray, allowed: np.ndarray
) -> tuple[IntArray, FloatArray]:
    """Let spans start where terms do, beside the starts that were chosen.

    Args:
        places: First and last token of each term.
        chosen: Int64, (n_starts,), starts.
        logits: Float32, (n_tokens, 2), of starts.
        allowed: Bool, (n_tokens,), where a span may start.

    Returns:
        Tokens, int64, ascending, and their probabilities, float32.
    """
    begin = [first for first, _ in places if first < len(allowed) and allowed[first]]
    tokens = np.union1d(chosen, np.array(begin, dtype=np.int64)).astype(np.int64)
    return tokens, start_scores(logits, allowed)[tokens]


def weigh_terms(
    row: Row,
    places: Places,
    spans: Sequence[DecodedSpan],
    weights: tuple[float, float],
) -> list[DecodedSpan]:
    """Weigh the mention probability of what is linked by whether it has a name of its record.

    Args:
        row: What was read.
        places: Its terms, of `term_places`.
        spans: Spans of it.
        weights: Added to the log-odds of a span that is a term of its record, and of one that is
            none. A span without a record stays as it is.

    Returns:
        The spans, in the same order.
    """
    known = row.entity_rows
    weighed = []
    for span in spans:
        if span.best > NIL_CLASS:
            record = known[span.best - NIL_CLASS - 1]
            named = record in places.get((span.start, span.end), ())
            span = replace(span, mention=lifted(span.mention, weights[0 if named else 1]))
        weighed.append(span)
    return weighed
