"""The reader: windows and candidates in, mentions, links and triples out."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from relik.backends import ReaderBackend, WordEmbeddings
from relik.config import PipelineConfig
from relik.kb.view import KnowledgeView
from relik.reader.decode import DecodedSpan, DecodedTriple, uncalibrated
from relik.reader.inputs import MarkerLayout, Row, RowLimits, build_rows, in_batches, pad_inputs
from relik.reader.links import decode_links, entity_span
from relik.reader.rules.batch_rules import BatchRules
from relik.reader.spans import propose_spans, span_columns
from relik.reader.triples import relate_spans, scored_triples
from relik.text import TextTokenizer
from relik.types import (
    AnnotateOptions,
    FloatArray,
    Span,
    Window,
    WindowAnnotation,
    WindowCandidates,
)

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
    """

    backend: ReaderBackend
    embeddings: WordEmbeddings
    markers: FloatArray
    tokenizer: Tokenizer
    layout: MarkerLayout


class TransformerReader:
    """Reads windows in batches by token budget, sorted by length.

    Attributes:
        max_text_tokens: How many tokens of text a window may have.

    Args:
        parts: What it is made of.
        config: Limits, thresholds, rules and calibration.
    """

    def __init__(self, parts: ReaderParts, config: PipelineConfig) -> None:
        self._parts = parts
        self._config = config
        self._tokenizer = TextTokenizer(parts.tokenizer)
        # The rest is room for candidates.
        self.max_text_tokens = config.reader.max_tokens // 2

    def count_text_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, without special tokens."""
        return [len(encoding.ids) for encoding in self._tokenizer.tokenise(texts)]

    def read(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        view: KnowledgeView,
        *,
        options: AnnotateOptions,
        mentions: Sequence[Sequence[Span]] | None = None,
    ) -> list[WindowAnnotation]:
        """Find mentions in windows, or take those that are given; link and relate them.

        Args:
            windows: Windows of at most `max_text_tokens` tokens.
            candidates: Candidates of each window, same length and order.
            view: Knowledge that the candidates are from.
            options: Thresholds and tasks. Where mentions are given, one may be NIL with `nil`;
                else it gets the best candidate, if there is one, and thresholds do not apply to
                spans.
            mentions: For each window, mentions inside it, in document coordinates.

        Returns:
            One annotation a window, same order, in document coordinates; NIL mentions are kept,
            and given mentions are exactly those returned.

        Raises:
            BundleError: A candidate is not in the knowledge base.
        """
        given = [None] * len(windows) if mentions is None else list(map(tuple, mentions))
        rows = self._rows(windows, candidates, given, view, options)
        answers: dict[int, WindowAnnotation] = {}
        widths = [len(row.built.ids) for row in rows]
        for batch in in_batches(widths, most=self._config.reader.batch_tokens):
            found = self._read_batch([rows[i] for i in batch], view, options)
            answers.update(zip(batch, found, strict=True))
        return [answers[i] for i in range(len(rows))]

    def _rows(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        given: Sequence[tuple[Span, ...] | None],
        view: KnowledgeView,
        options: AnnotateOptions,
    ) -> list[Row]:
        return build_rows(
            windows,
            candidates,
            given,
            self._tokenizer.tokenise([window.text for window in windows]),
            view,
            layout=self._parts.layout,
            limits=RowLimits(
                max_tokens=self._config.reader.max_tokens, pretokenised=options.pretokenised
            ),
        )

    def _read_batch(
        self, rows: Sequence[Row], view: KnowledgeView, options: AnnotateOptions
    ) -> list[WindowAnnotation]:
        backend, config = self._parts.backend, self._config.reader
        rules = BatchRules(
            self._config.rules, view.entities, rows, threshold=self._raw(config.threshold)
        )
        least = ROUNDING * self._raw(_chosen(options.threshold, config.threshold))
        arrays = pad_inputs([row.built for row in rows])
        hidden, starts, entities, relations = backend.encode(
            self._parts.embeddings.lookup_with_markers(arrays.ids, self._parts.markers),
            arrays.types,
            arrays.mask,
            arrays.entity_positions,
            arrays.relation_positions,
        )
        proposed = rules.with_whole_names(
            propose_spans(
                backend,
                hidden,
                rules.start_logits(starts),
                rules,
                least=least,
                most=2 * config.max_spans,
            )
        )
        places = span_columns([[(span.start, span.end) for span in spans] for spans in proposed])
        decoded = decode_links(
            proposed,
            backend.link(hidden, *places, entities),
            arrays.entity_mask,
            rules,
            config=config,
            least=least,
            nil=options.nil,
        )
        related: list[list[DecodedTriple]] = [[] for _ in rows]
        if options.relations:
            related = relate_spans(
                backend, hidden, relations, rows, decoded, least=self._least_triple(options)
            )
        return [
            self._assembled(i, rules, spans, triples, options)
            for i, (spans, triples) in enumerate(zip(decoded, related, strict=True))
        ]

    def _assembled(
        self,
        i: int,
        rules: BatchRules,
        decoded: Sequence[DecodedSpan],
        related: Sequence[DecodedTriple],
        options: AnnotateOptions,
    ) -> WindowAnnotation:
        """Keep the spans and triples of row i whose calibrated scores reach the thresholds."""
        row, config, calibration = rules.rows[i], self._config.reader, self._config.calibration
        least = _chosen(options.threshold, config.threshold)
        least_triple = _chosen(options.relation_threshold, config.relation_threshold)
        given = row.given or [None] * len(decoded)
        spans = [
            entity_span(row, found, mention, calibration, explain=options.explain)
            for found, mention in zip(decoded, given, strict=True)
        ]
        kept = {k for k, span in enumerate(spans) if row.given or span.score >= least}
        related = [each for each in related if each.subject in kept and each.object in kept]
        triples = scored_triples(i, spans, related, rules, calibration)
        return WindowAnnotation(
            window=row.window,
            spans=tuple(spans[k] for k in sorted(kept)),
            triples=tuple(triple for triple in triples if triple.score >= least_triple),
        )

    def _raw(self, threshold: float) -> float:
        calibration = self._config.calibration
        return uncalibrated(threshold, calibration.span_scale, calibration.span_shift)

    def _least_triple(self, options: AnnotateOptions) -> float:
        calibration = self._config.calibration
        threshold = _chosen(options.relation_threshold, self._config.reader.relation_threshold)
        return ROUNDING * uncalibrated(
            threshold, calibration.triple_scale, calibration.triple_shift
        )


def _chosen(asked: float | None, default: float) -> float:
    return default if asked is None else asked
