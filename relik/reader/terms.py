"""Mentions of terms: what a list of diseases or goods names needs less to be a mention.

A reader learns from names, which stand out by their capitals; it finds terms, in lower case and of
a trade it never read about, improbable everywhere. That a text has exactly the name of a record
is evidence of its own, which knowledge-base matchers such as QuickUMLS (Soldaini and Goharian,
2016) live on alone. Both are joined as log-odds.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from relik.kb import KnowledgeBase
from relik.reader.assemble import Row
from relik.reader.decode import NIL_CLASS, DecodedSpan
from relik.reader.priors import name_shares

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


def lift_terms(
    kb: KnowledgeBase, row: Row, spans: Sequence[DecodedSpan], weight: float
) -> list[DecodedSpan]:
    """Raise the mention probability of spans that have a name of the record they mean.

    Args:
        kb: Knowledge base of the candidates.
        row: What was read.
        spans: Spans of it.
        weight: Added to the log-odds of each that has such a name.

    Returns:
        The spans, in the same order.
    """
    known = [kb.row_of(candidate.entity_id) for candidate in row.candidates.entities]

    def named(span: DecodedSpan) -> bool:
        if span.best <= NIL_CLASS:
            return False
        first, last = row.text.starts[span.start - 1], row.text.ends[span.end - 1]
        return known[span.best - NIL_CLASS - 1] in name_shares(kb, row.window.text[first:last])

    return [
        replace(span, mention=lifted(span.mention, weight)) if named(span) else span
        for span in spans
    ]
