"""What a surface form means most often, as a prior for linking.

Source: commonness p(entity | mention) (Milne and Witten 2008), joined with the reader's score as
log-linear evidence (Ganea and Hofmann 2017, section 4). A knowledge base without link counts
gives nearly even shares, so the prior then says only which candidates have that name.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relik.kb import KnowledgeBase
from relik.names.resolve import Knowledge, resolve
from relik.reader.decode import NIL_CLASS, ProposedSpan
from relik.reader.inputs import Row
from relik.types import FloatArray

FLOOR = 0.01
"""Share of a candidate that does not have the name: an inflected or misspelt form may be meant."""
SOLE_FLOOR = 0.0005
"""The same where one record alone has the name: no other is called so."""
NIL_PRIOR = math.log(0.1)
"""Log share of uses of a known name that mean something the knowledge base does not have."""
SOLE_NIL_PRIOR = math.log(0.005)
"""The same for a name of several words that one record alone has."""


@dataclass(frozen=True, slots=True)
class LogPriors:
    """What the surface form of a mention says of its candidates.

    Args:
        of_rows: Float32, (n_candidates,), log prior of each, in [log SOLE_FLOOR, 0]; all zero where
            nothing has the name.
        of_nil: That of NIL; 0 where no candidate has the name, or each of them alike.
        named: Whether a candidate has the name.
    """

    of_rows: FloatArray
    of_nil: float
    named: bool


def log_priors(kb: Knowledge, surface: str, rows: Sequence[int]) -> LogPriors:
    """Give the log prior of each candidate of a mention, and of NIL.

    Args:
        kb: Knowledge base.
        surface: The mention as it stands in the text.
        rows: Rows of the candidates.

    Returns:
        The priors.
    """
    shares = {sense.row: sense.share for sense in resolve(kb, surface)}
    if not shares:
        return LogPriors(np.zeros(len(rows), dtype=np.float32), 0.0, named=False)
    sole = len(shares) == 1
    floor = SOLE_FLOOR if sole else FLOOR
    found = np.log(np.array([max(shares.get(row, 0.0), floor) for row in rows], dtype=np.float32))
    named = not shares.keys().isdisjoint(rows)
    if not found.any():
        return LogPriors(found, 0.0, named)
    # A known name seldom means something unknown.
    sure = sole and " " in surface and named
    return LogPriors(found, SOLE_NIL_PRIOR if sure else NIL_PRIOR, named)


def weigh_links(
    kb: KnowledgeBase,
    row: Row,
    spans: Sequence[ProposedSpan],
    logits: FloatArray,
    *,
    prior: float,
    nil: float,
    unnamed_nil: float,
) -> FloatArray:
    """Join link logits with what the names of mentions say.

    Args:
        kb: Knowledge base of the candidates.
        row: The row.
        spans: Spans of it.
        logits: Float32, (n_spans, n_classes), of NONE, NIL and candidates.
        prior: Weight of the log priors of surface forms.
        nil: Added to the logit of NIL.
        unnamed_nil: Added to it where no candidate has the mention as a name.

    Returns:
        Float32, (n_spans, n_classes).
    """
    weighed = np.array(logits, dtype=np.float32)
    weighed[:, NIL_CLASS] += nil
    if not prior and not unnamed_nil:
        return weighed
    n_read = len(row.built.entity_positions) - 2
    known = row.entity_rows[:n_read]
    for k, span in enumerate(spans):
        if 1 <= span.start <= span.end <= row.built.n_text:
            first, last = row.text.starts[span.start - 1], row.text.ends[span.end - 1]
            priors = log_priors(kb, row.window.text[first:last], known)
            weighed[k, 2 : 2 + n_read] += prior * priors.of_rows
            weighed[k, NIL_CLASS] += prior * priors.of_nil
            if not priors.named:
                weighed[k, NIL_CLASS] += unnamed_nil
    return weighed
