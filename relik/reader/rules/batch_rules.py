"""The one place that calls the rules: the rules over a batch of rows."""

from collections.abc import Mapping, Sequence

import numpy as np

from relik.config import RulesConfig
from relik.kb import KnowledgeBase
from relik.reader.decode import DecodedSpan, DecodedTriple, ProposedSpan, lowered
from relik.reader.inputs import Row
from relik.reader.rules.bare_words import but_bare
from relik.reader.rules.comma_places import places_apart
from relik.reader.rules.priors import weigh_links
from relik.reader.rules.sentences import Sentences
from relik.reader.rules.term_mentions import Places, lifted, term_places, weigh_terms, with_starts
from relik.reader.rules.whole_names import settled, with_whole_names
from relik.types import EntitySpan, FloatArray, IntArray

JOINED = 0.2
"""Share of a threshold from which on a span may add to another's probability."""


class BatchRules:
    """The rules of the reader, over one batch of rows and one knowledge base.

    Args:
        config: Weights and switches of the rules.
        kb: Knowledge base of the entity candidates.
        rows: The batch.
        threshold: Raw score that the bundle asks of a span, 0..1.
    """

    def __init__(
        self, config: RulesConfig, kb: KnowledgeBase, rows: Sequence[Row], *, threshold: float
    ) -> None:
        config = config.for_language(kb.policy.language.code)
        self.rows = rows
        self.join = JOINED * threshold if config.join_overlaps else None
        self._config = config
        self._kb = kb
        self._term_weight = config.term_weight if kb.any_case else 0.0
        self._terms: list[Places] = [
            term_places(kb, row) if self._term_weight and row.given is None else {} for row in rows
        ]

    def start_logits(self, logits: FloatArray) -> FloatArray:
        """Let the second of two places start a span: float32, (n_rows, n_tokens, 2), both."""
        return places_apart(self._kb, self.rows, logits, apart=self._config.places_apart)

    def least_start(self, least: float) -> float:
        """Lower the least score of a start by what a span may gain later, 0..1 both."""
        least = lifted(least, -self._term_weight)
        return least if self.join is None else min(least, self.join)

    def with_term_starts(
        self,
        i: int,
        tokens: IntArray,
        scores: FloatArray,
        logits: FloatArray,
        allowed: np.ndarray,
    ) -> tuple[IntArray, FloatArray]:
        """Add the starts of the terms of row i: int64 and float32, (n_starts,), both ways."""
        if not self._terms[i]:
            return tokens, scores
        return with_starts(self._terms[i], tokens, logits, allowed)

    def without_bare_words(self, i: int, scores: FloatArray, starts: IntArray) -> FloatArray:
        """Suppress bare articles, initials and titles: float32, (n_starts, n_tokens), both."""
        return but_bare(scores, starts, self.rows[i], rules=self._config)

    def term_spans(
        self, i: int, spans: Sequence[ProposedSpan], ends: Mapping[int, tuple[float, FloatArray]]
    ) -> list[ProposedSpan]:
        """Give the terms of row i that are not among its spans yet.

        Args:
            i: Number of the row.
            spans: Its spans.
            ends: By first token, the probability of a start and of each end, (n_tokens,).
        """
        chosen = {(span.start, span.end) for span in spans}
        return [
            ProposedSpan(first, last, ends[first][0] * float(ends[first][1][last]))
            for first, last in self._terms[i]
            if (first, last) not in chosen and first in ends
        ]

    def with_whole_names(
        self, proposed: Sequence[Sequence[ProposedSpan]]
    ) -> Sequence[Sequence[ProposedSpan]]:
        """Add whole names of candidates around the spans of each row."""
        if not self._config.whole_names or self._term_weight:
            return proposed
        pairs = zip(self.rows, proposed, strict=True)
        return [with_whole_names(self._kb, *pair) for pair in pairs]

    def weighed_links(
        self, i: int, spans: Sequence[ProposedSpan], logits: FloatArray
    ) -> FloatArray:
        """Join the link logits of row i with priors: float32, (n_spans, n_classes), both."""
        config, row = self._config, self.rows[i]
        prior = config.prior_weight
        if row.given is not None:
            counted = self._kb.counted
            prior *= config.counted_prior_factor if counted else config.given_prior_factor
        elif self._term_weight:
            prior *= config.term_prior_factor
        unnamed = 0.0 if self._term_weight else config.unnamed_nil_weight
        nil = config.nil_weight
        return weigh_links(self._kb, row, spans, logits, prior=prior, nil=nil, unnamed_nil=unnamed)

    def settled(self, i: int, spans: Sequence[DecodedSpan]) -> list[DecodedSpan]:
        """Decide between whole names and what stands within them, and weigh terms, in row i."""
        kept = settled(spans)
        if not self._term_weight:
            return kept
        weights = self._term_weight, -self._config.unnamed_weight
        return weigh_terms(self.rows[i], self._terms[i], kept, weights)

    def lowered_triples(
        self, i: int, spans: Sequence[EntitySpan], triples: Sequence[DecodedTriple]
    ) -> list[float]:
        """Lower the raw scores of the triples of row i that reach from sentence to sentence."""
        weight, window = self._config.apart_weight, self.rows[i].window
        if not weight or not triples:
            return [triple.score for triple in triples]
        sentences, begin = Sentences(window.text), window.span.start

        def sentence(span: EntitySpan) -> int:
            # A given mention may begin before its window.
            return sentences.at(span.span.start - begin)

        return [
            lowered(
                triple.score,
                weight
                if sentence(spans[triple.subject]) != sentence(spans[triple.object])
                else 0.0,
            )
            for triple in triples
        ]
