"""The reader: windows and candidates in, mentions, links and triples out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from relik.backends.backend import ReaderBackend
from relik.backends.word_embeddings import WordEmbeddings
from relik.config import CalibrationConfig, ReaderConfig
from relik.kb import KnowledgeBase
from relik.reader.assemble import (
    DecodedTriple,
    LinkWeights,
    Row,
    assemble,
    begun_scores,
    candidate_tokens,
    ordered_pairs,
    place_mention,
    span_columns,
    text_mask,
    weigh_links,
)
from relik.reader.decode import (
    JOINED,
    NIL_CLASS,
    DecodedSpan,
    ProposedSpan,
    end_scores,
    link_scores,
    pick_ends,
    pick_starts,
    softmax,
    uncalibrated,
    without_overlaps,
)
from relik.reader.inputs import (
    MarkerLayout,
    ReaderArrays,
    build_input,
    in_batches,
    pad_inputs,
    tokenise_text,
)
from relik.reader.rules.bare_words import but_bare
from relik.reader.rules.comma_places import places_apart
from relik.reader.rules.term_mentions import Places, lifted, term_places, weigh_terms, with_starts
from relik.reader.rules.whole_names import settled, with_whole_names
from relik.text import TextTokenizer
from relik.types import (
    AnnotateOptions,
    FloatArray,
    Span,
    Window,
    WindowAnnotation,
    WindowCandidates,
)

PAIRS_AT_ONCE = 2048
ROUNDING = 1.0 - 1e-5
"""What raw scores are multiplied by before they are compared early: calibration decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderParts:
    """What a reader is made of.

    Args:
        backend: Runs the stage functions.
        embeddings: Word embeddings.
        markers: Float32, (n_markers, hidden), embeddings of the markers.
        tokenizer: Subwords.
        layout: Marker ids.
        entities: Knowledge base of the entity candidates.
        relations: Knowledge base of the relation candidates.
    """

    backend: ReaderBackend
    embeddings: WordEmbeddings
    markers: FloatArray
    tokenizer: Tokenizer
    layout: MarkerLayout
    entities: KnowledgeBase
    relations: KnowledgeBase


class TransformerReader:
    """Reads windows in batches by token budget, sorted by length.

    Args:
        parts: What it is made of.
        config: Limits and thresholds.
        calibration: How raw scores become probabilities.
    """

    def __init__(
        self, parts: ReaderParts, config: ReaderConfig, calibration: CalibrationConfig
    ) -> None:
        self._parts = parts
        self._tokenizer = TextTokenizer(parts.tokenizer)
        self._config = config
        self._calibration = calibration
        self._joined = JOINED * self._raw(config.threshold) if config.join_overlaps else None
        self._term_weight = config.term_weight if parts.entities.any_case else 0.0
        self._given_prior_factor = (
            config.counted_prior_factor if parts.entities.counted else config.given_prior_factor
        )

    @property
    def max_text_tokens(self) -> int:
        """Return how many tokens of text a window may have; the rest is room for candidates."""
        return self._config.max_tokens // 2

    def count_text_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of texts.

        Args:
            texts: Any strings.

        Returns:
            Tokens of each, without special tokens.
        """
        return [len(encoding.ids) for encoding in self._tokenizer.tokenise(texts)]

    def read(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        *,
        options: AnnotateOptions,
    ) -> list[WindowAnnotation]:
        """Read windows with their candidates.

        Args:
            windows: Windows of at most `max_text_tokens` tokens.
            candidates: Candidates of each window, same length and order.
            options: Thresholds and tasks.

        Returns:
            One annotation a window, same order, in document coordinates; NIL mentions are kept.
        """
        return self._run(windows, candidates, [None] * len(windows), options)

    def link(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        mentions: Sequence[Sequence[Span]],
        *,
        options: AnnotateOptions,
    ) -> list[WindowAnnotation]:
        """Link mentions that are given.

        Args:
            windows: As for `read`.
            candidates: As for `read`.
            mentions: For each window, mentions inside it, in document coordinates.
            options: With `nil`, a mention may be linked to nothing; else it gets the best
                candidate, if there is one. Thresholds do not apply to spans.

        Returns:
            As `read`, with exactly the given mentions.
        """
        return self._run(windows, candidates, [tuple(given) for given in mentions], options)

    def _run(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        given: Sequence[tuple[Span, ...] | None],
        options: AnnotateOptions,
    ) -> list[WindowAnnotation]:
        rows = self._rows(windows, candidates, given, options)
        answers: dict[int, WindowAnnotation] = {}
        widths = [len(row.built.ids) for row in rows]
        for batch in in_batches(widths, most=self._config.batch_tokens):
            found = self._read_batch([rows[i] for i in batch], options)
            answers.update(zip(batch, found, strict=True))
        return [answers[i] for i in range(len(rows))]

    def _rows(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        given: Sequence[tuple[Span, ...] | None],
        options: AnnotateOptions,
    ) -> list[Row]:
        parts = self._parts
        encodings = self._tokenizer.tokenise([window.text for window in windows])
        rows = []
        for window, proposed, mentions, encoding in zip(
            windows, candidates, given, encodings, strict=True
        ):
            text = tokenise_text(window.text, encoding, pretokenised=options.pretokenised)
            built = build_input(
                text,
                [candidate_tokens(parts.entities, c) for c in proposed.entities],
                [candidate_tokens(parts.relations, c) for c in proposed.relations],
                parts.layout,
                max_tokens=self._config.max_tokens,
            )
            rows.append(Row(window, proposed, text, built, mentions))
        return rows

    def _read_batch(self, rows: Sequence[Row], options: AnnotateOptions) -> list[WindowAnnotation]:
        backend = self._parts.backend
        arrays = pad_inputs([row.built for row in rows])
        hidden, starts, entities, relations = backend.encode(
            self._parts.embeddings.lookup_with_markers(arrays.ids, self._parts.markers),
            arrays.types,
            arrays.mask,
            arrays.entity_positions,
            arrays.relation_positions,
        )
        starts = places_apart(self._parts.entities, rows, starts, apart=self._config.places_apart)
        terms = [self._terms(row) for row in rows]
        proposed = self._mentions(rows, terms, hidden, starts, options)
        if self._config.whole_names and not self._term_weight:
            pairs = zip(rows, proposed, strict=True)
            proposed = [with_whole_names(self._parts.entities, *pair) for pair in pairs]
        places = span_columns([[(span.start, span.end) for span in spans] for spans in proposed])
        links = backend.link(hidden, *places, entities)
        decoded = self._decoded(rows, terms, proposed, links, arrays, options)
        triples = self._triples(rows, decoded, hidden, relations, options)
        return [
            assemble(
                row,
                spans,
                found,
                thresholds=(
                    _chosen(options.threshold, self._config.threshold),
                    _chosen(options.relation_threshold, self._config.relation_threshold),
                ),
                calibration=self._calibration,
                apart_weight=self._config.apart_weight,
                options=options,
            )
            for row, spans, found in zip(rows, decoded, triples, strict=True)
        ]

    def _terms(self, row: Row) -> Places:
        """Give the terms of a row, where the knowledge base is a list of them."""
        wanted = self._term_weight and row.given is None
        return term_places(self._parts.entities, row) if wanted else {}

    def _mentions(
        self,
        rows: Sequence[Row],
        terms: Sequence[Places],
        hidden: object,
        start_logits: FloatArray,
        options: AnnotateOptions,
    ) -> list[list[ProposedSpan]]:
        """Give the mentions of each row."""
        # A term that starts here may yet gain so much, and a span what another has.
        least = lifted(self._least_raw(options), -self._term_weight)
        least = least if self._joined is None else min(least, self._joined)
        # Ends lie in the text, and the candidates behind it need no score.
        n_tokens = 1 + max(row.built.n_text for row in rows)
        found: list[list[ProposedSpan]] = [[] for _ in rows]
        picked: list[tuple[int, int, float]] = []
        for i, row in enumerate(rows):
            if row.given is not None:
                found[i] = [ProposedSpan(*place_mention(row, span), 1.0) for span in row.given]
                continue
            allowed = text_mask(row.text.begins_word, n_tokens)
            tokens, scores = pick_starts(
                start_logits[i, :n_tokens], allowed, least=least, most=2 * self._config.max_spans
            )
            if terms[i]:
                tokens, scores = with_starts(terms[i], tokens, start_logits[i, :n_tokens], allowed)
            picked.extend((i, int(t), float(s)) for t, s in zip(tokens, scores, strict=True))
        if not picked:
            return found
        of_row = np.array([i for i, _, _ in picked], dtype=np.int64)
        tokens = np.array([t for _, t, _ in picked], dtype=np.int64)
        logits = self._parts.backend.ends(hidden, of_row, tokens, n_tokens=n_tokens)
        for i in np.unique(of_row):
            mine = np.flatnonzero(of_row == i)
            allowed = text_mask(rows[i].text.ends_word, n_tokens)
            begun = begun_scores(rows[i], start_logits[i, :n_tokens])
            of_ends = end_scores(logits[mine], tokens[mine], allowed, begun)
            of_ends = but_bare(of_ends, tokens[mine], rows[i], config=self._config)
            for k, end, score in zip(mine, *pick_ends(of_ends), strict=True):
                if end >= 0:
                    mention = picked[k][2] * float(score)
                    found[i].append(ProposedSpan(picked[k][1], int(end), mention))
            chosen = {(span.start, span.end) for span in found[i]}
            begin = {picked[k][1]: (picked[k][2], of_ends[at]) for at, k in enumerate(mine)}
            for first, last in terms[i]:
                if (first, last) not in chosen and first in begin:
                    start, of_start = begin[first]
                    mention = start * float(of_start[last])
                    found[i].append(ProposedSpan(first, last, mention))
        return found

    def _decoded(
        self,
        rows: Sequence[Row],
        terms: Sequence[Places],
        proposed: Sequence[Sequence[ProposedSpan]],
        links: FloatArray,
        arrays: ReaderArrays,
        options: AnnotateOptions,
    ) -> list[list[DecodedSpan]]:
        decoded = []
        config, least, first = self._config, self._least_raw(options), 0
        for i, (row, spans) in enumerate(zip(rows, proposed, strict=True)):
            mask = arrays.entity_mask[i].copy()
            if row.given is not None and not options.nil and mask[NIL_CLASS + 1 :].any():
                mask[NIL_CLASS] = False
            logits = links[first : first + len(spans)]
            first += len(spans)
            weight = config.prior_weight
            if row.given is not None:
                weight *= self._given_prior_factor
            elif self._term_weight:
                weight *= config.term_prior_factor
            unnamed = 0.0 if self._term_weight else config.unnamed_nil_weight
            weights = LinkWeights(prior=weight, nil=config.nil_weight, unnamed_nil=unnamed)
            logits = weigh_links(self._parts.entities, row, spans, logits, weights)
            scores = link_scores(logits, mask)
            read = [DecodedSpan(**span._asdict(), links=scores[k]) for k, span in enumerate(spans)]
            if row.given is None:
                read = settled(read)
                if self._term_weight:
                    of_terms = self._term_weight, -config.unnamed_weight
                    read = weigh_terms(self._parts.entities, row, terms[i], read, of_terms)
                if config.drop_nil:
                    read = [span for span in read if span.best != NIL_CLASS]
                read = without_overlaps(read, most=config.max_spans, join=self._joined)
                # Only spans that will be kept are worth relating to each other.
                read = [span for span in read if span.score >= least]
            decoded.append(read)
        return decoded

    def _least_raw(self, options: AnnotateOptions) -> float:
        """Return the raw score below which no span is kept, a little less against rounding."""
        return ROUNDING * self._raw(_chosen(options.threshold, self._config.threshold))

    def _raw(self, threshold: float) -> float:
        calibration = self._calibration
        return uncalibrated(threshold, calibration.span_scale, calibration.span_shift)

    def _triples(
        self,
        rows: Sequence[Row],
        decoded: list[list[DecodedSpan]],
        hidden: object,
        relation_vectors: FloatArray,
        options: AnnotateOptions,
    ) -> list[list[DecodedTriple]]:
        found: list[list[DecodedTriple]] = [[] for _ in rows]
        counts = [len(spans) for spans in decoded]
        pairs = ordered_pairs(counts)
        if not options.relations or not len(pairs) or not relation_vectors.shape[1]:
            return found
        places = span_columns([[(s.start, s.end) for s in spans] for spans in decoded])
        least = ROUNDING * uncalibrated(
            _chosen(options.relation_threshold, self._config.relation_threshold),
            self._calibration.triple_scale,
            self._calibration.triple_shift,
        )
        begins = np.concatenate(([0], np.cumsum(counts)))
        for first in range(0, len(pairs), PAIRS_AT_ONCE):
            part = pairs[first : first + PAIRS_AT_ONCE]
            subjects, objects = part[:, 0], part[:, 1]
            logits = self._parts.backend.relate(
                hidden, *places, subjects, objects, relation_vectors
            )
            scores = softmax(logits)[..., 1]  # (n_pairs, n_relations)
            for k, relation in np.argwhere(scores >= least):
                subject, obj = part[k]
                i = int(places[0][subject])
                if relation < len(rows[i].built.relation_positions):
                    found[i].append(
                        DecodedTriple(
                            int(subject - begins[i]),
                            int(obj - begins[i]),
                            int(relation),
                            float(scores[k, relation]),
                        )
                    )
        return found


def _chosen(asked: float | None, default: float) -> float:
    return default if asked is None else asked
