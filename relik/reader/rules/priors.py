"""What a surface form means most often, as a prior for linking.

Source: commonness p(entity | mention) (Milne and Witten 2008), joined with the reader's score as
log-linear evidence (Ganea and Hofmann 2017, section 4). A knowledge base without link counts
gives nearly even shares, so the prior then says only which candidates have that name.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from relik.kb import KnowledgeBase
from relik.names.inflections import place_stems, stems
from relik.names.normalise import normalise
from relik.names.trie import CASED, PARTIAL, PRIMARY, NameMatch
from relik.names.variants import variants
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
_PART = 0.2
_LOWERED = 0.1
"""How much less a name counts that is written with a capital, where the text has none."""


class Names(Protocol):
    """What is asked of a name trie."""

    def lookup(self, key: str) -> list[NameMatch]:
        """Return the records that have a normalised name."""

    def continuations(self, prefix: str) -> list[str]:
        """Return what follows a prefix in the keys that begin with it."""


class Knowledge(Protocol):
    """What is asked of a knowledge base."""

    @property
    def names(self) -> Names:
        """Names and what they name."""

    @property
    def any_case(self) -> bool:
        """Tell whether its names are terms, which text has in lower case."""

    def count(self, row: int) -> int:
        """Return how often a record is linked in the text that gave the surface forms."""


def name_shares(kb: Knowledge, surface: str) -> dict[int, float]:
    """Share the uses of a surface form out among the records that have it as a name.

    Args:
        kb: Knowledge base.
        surface: The mention as it stands in the text.

    Returns:
        Row -> share, summing to 1; empty for an unknown name.
    """
    key, lower = normalise(surface), surface.islower()
    weights = _weights(kb, key, lower=lower)
    # A plural in lower case is seldom the name of a company, and a name may be an adjective too;
    # of others it is a weaker sign.
    named = bool(weights) and not lower
    formed = [] if named else stems(key, adjectives=False, terms=kb.any_case)
    for forms in (formed, [] if lower else place_stems(key)):
        found = next((held for held in (_weights(kb, f, lower=lower) for f in forms) if held), {})
        for row, weight in found.items():
            weights[row] = max(weight * _PART, weights.get(row, 0.0))
    if kb.any_case and not weights:
        weights = _weighed(kb, variants(kb.names, key.split()), lower=False)
    total = sum(weights.values())
    return {row: weight / total for row, weight in weights.items()}


def _weights(kb: Knowledge, key: str, *, lower: bool) -> dict[int, float]:
    return _weighed(kb, kb.names.lookup(key), lower=lower)


def _weighed(kb: Knowledge, matches: Sequence[NameMatch], *, lower: bool) -> dict[int, float]:
    weights: dict[int, float] = {}
    for match in matches:
        weight = match.count + (0.5 if match.flags & PRIMARY else 0.1)
        weight += 0.1 * math.log1p(kb.count(match.row))
        if match.flags & PARTIAL:
            weight *= _PART
        if lower and match.flags & CASED:
            weight *= _LOWERED
        weights[match.row] = max(weight, weights.get(match.row, 0.0))
    return weights


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
    shares = name_shares(kb, surface)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkWeights:
    """How evidence beside the text is joined with the reader's link logits.

    Args:
        prior: Weight of the log priors of surface forms.
        nil: Added to the logit of NIL.
        unnamed_nil: Added to it where no candidate has the mention as a name.
    """

    prior: float
    nil: float
    unnamed_nil: float


def weigh_links(
    kb: KnowledgeBase,
    row: Row,
    spans: Sequence[ProposedSpan],
    logits: FloatArray,
    weights: LinkWeights,
) -> FloatArray:
    """Join link logits with what the names of mentions say.

    Args:
        kb: Knowledge base of the candidates.
        row: The row.
        spans: Spans of it.
        logits: Float32, (n_spans, n_classes), of NONE, NIL and candidates.
        weights: Weights.

    Returns:
        Float32, (n_spans, n_classes).
    """
    weighed = np.array(logits, dtype=np.float32)
    weighed[:, NIL_CLASS] += weights.nil
    if not weights.prior and not weights.unnamed_nil:
        return weighed
    n_read = len(row.built.entity_positions) - 2
    known = row.entity_rows[:n_read]
    for k, span in enumerate(spans):
        if 1 <= span.start <= span.end <= row.built.n_text:
            first, last = row.text.starts[span.start - 1], row.text.ends[span.end - 1]
            priors = log_priors(kb, row.window.text[first:last], known)
            weighed[k, 2 : 2 + n_read] += weights.prior * priors.of_rows
            weighed[k, NIL_CLASS] += weights.prior * priors.of_nil
            if not priors.named:
                weighed[k, NIL_CLASS] += weights.unnamed_nil
    return weighed
