"""Released readers: spans, labels and triples from windows and the texts of candidates."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from relik.errors import BundleCorruptError, InputError
from relik.types import FloatArray, IntArray
from relik.upstream.checkpoint.reader_config import Kind
from relik.upstream.reader.arithmetic import BatchSpans, Encoded, ReaderArithmetic
from relik.upstream.reader.labels import (
    TokenSpan,
    link_scores,
    overlapping_tokens,
    pick_end,
    pick_ends,
    pick_starts,
    sigmoid,
)
from relik.upstream.reader.marked_rows import InputBuilder, ReaderRow, ReaderShape
from relik.upstream.reader.predictions import (
    RowReading,
    WindowPrediction,
    predict_links,
    predict_relations,
)
from relik.upstream.text.subwords import ReaderTokenizer, WordTokens
from relik.upstream.text.token_windows import UpstreamWindow

T = TypeVar("T")
Candidates = Sequence[Sequence[str] | None] | None
Mentions = Sequence[Sequence[tuple[int, int]] | None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Options of one call of a reader.

    Args:
        max_length: Most tokens of a row; also bounded by the positions of the backbone.
        relation_threshold: Probability above which a relation is kept, 0..1; None uses that of
            the reader.
        remove_nmes: Leave out NIL spans ("--NME--").
        batch_size: Most rows in a batch.
        batch_tokens: Most tokens in a batch, padding included; a single row may have more.
        max_spans: Most spans of a row to link and relate, the most probable ones.

    Raises:
        InputError: A number is out of range.
    """

    max_length: int = 1000
    relation_threshold: float | None = None
    remove_nmes: bool = True
    batch_size: int = 32
    batch_tokens: int = 2048
    max_spans: int = 256

    def __post_init__(self) -> None:
        for name in ("max_length", "batch_size", "batch_tokens", "max_spans"):
            if getattr(self, name) < 1:
                raise InputError(f"got {name} {getattr(self, name)}, expected at least 1: raise it")
        if self.relation_threshold is not None and not 0.0 <= self.relation_threshold <= 1.0:
            raise InputError(
                f"got relation_threshold {self.relation_threshold}, expected 0..1 or None: "
                "correct it"
            )


class UpstreamReader:
    """A released reader.

    Args:
        tokenizer: Opened with the same `quirks`.
        use_nme: "--NME--" is the first entity candidate.
        quirks: Read and decode as upstream does.
    """

    def __init__(
        self,
        model: ReaderArithmetic,
        tokenizer: ReaderTokenizer,
        *,
        use_nme: bool,
        quirks: bool,
    ) -> None:
        self.kind = model.settings.kind
        self._model = model
        self._tokenizer = tokenizer
        self._quirks = quirks
        self._shape = ReaderShape(
            links=model.settings.heads.links,
            closed=model.settings.heads.types,
            use_nme=use_nme,
            n_symbols=model.settings.n_symbols,
        )

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        kind: Kind,
        backbone: Path | None = None,
        use_nme: bool = True,
        device: str = "cpu",
        precision: str = "float32",
        quirks: bool = False,
    ) -> "UpstreamReader":
        """Open the reader of a folder.

        Args:
            kind: "span" links spans, "triplet" relates them.
            backbone: Folder with the config.json of its backbone, if the reader's own config.json
                names neither a known backbone nor a folder beside the reader.
            precision: "float32", "float16" or "bfloat16".
            quirks: Read as upstream 1.0.7 does, with its defects, but never crash or loop.

        Raises:
            BundleError: A file is missing or broken, or does not fit another.
            ConfigError: The backbone is unknown, the reader is of the other kind, or there is no
                such device or precision.
        """
        from relik.upstream.reader.released_model import UpstreamReaderModel

        model = UpstreamReaderModel.open(
            folder, kind=kind, backbone=backbone, device=device, precision=precision
        )
        return cls.of(model, folder, use_nme=use_nme, quirks=quirks)

    @classmethod
    def of(
        cls, model: ReaderArithmetic, folder: Path, *, use_nme: bool, quirks: bool
    ) -> "UpstreamReader":
        """Combine a model with the tokenizer of a folder.

        Raises:
            BundleError: The tokenizer is missing, broken, or does not fit the model.
        """
        tokenizer = ReaderTokenizer.open(folder, quirks=quirks)
        if tokenizer.markers.n_all > model.n_words:
            raise BundleCorruptError(
                f"{folder}: got a tokenizer of {tokenizer.markers.n_all} tokens, expected at most "
                f"the {model.n_words} tokens with embeddings: fetch the model again"
            )
        return cls(model, tokenizer, use_nme=use_nme, quirks=quirks)

    def read(
        self,
        windows: Sequence[UpstreamWindow],
        *,
        span_candidates: Candidates,
        triplet_candidates: Candidates,
        options: ReadOptions,
        mentions: Mentions = None,
    ) -> list[WindowPrediction]:
        """Read windows with their candidates.

        Args:
            span_candidates: Texts of the entity candidates of each window, best first; None for a
                window or for all without any.
            triplet_candidates: Texts of the relation candidates, in the same form.
            mentions: Spans of each window to link, in code points of the document; None, for a
                window or for all, finds them.

        Raises:
            InputError: Windows and candidates differ in number, or a mention is outside of its
                window; `TextTooLongError` where a window leaves no room for candidates.
            InferenceError: The model failed.
        """
        of_window = _for_each(mentions, len(windows), "mentions")
        texts = self._tokenizer.encode_words(windows)
        placed = [
            None if spans is None else place_mentions(window, text, spans)
            for window, text, spans in zip(windows, texts, of_window, strict=True)
        ]
        # A window without tokens, or without mentions to link, needs no model.
        wanted = [len(t.ids) > 0 and own != () for t, own in zip(texts, placed, strict=True)]
        spans = _for_each(span_candidates, len(windows), "span_candidates")
        triplets = _for_each(triplet_candidates, len(windows), "triplet_candidates")
        builder = self._builder(options)
        rows = [
            row
            for i, reads in enumerate(wanted)
            if reads
            for row in self._rows(builder, i, texts[i], spans[i], triplets[i])
        ]
        readings: dict[int, RowReading] = {}
        batches = list(row_batches(rows, options, most=self._model.rows_at_once))

        def read(batch: list[int]) -> list[RowReading]:
            chosen = [rows[k] for k in batch]
            return self._read_batch(chosen, [placed[row.window] for row in chosen], options)

        for batch, found in zip(batches, self._model.each(read, batches), strict=True):
            readings.update(zip(batch, found, strict=True))
        predictions = [WindowPrediction()] * len(windows)
        ordered = (readings[k] for k in range(len(rows)))
        for i, group in groupby(ordered, key=lambda reading: reading.row.window):
            predictions[i] = self._predict(list(group), texts[i], windows[i], options)
        return predictions

    def _builder(self, options: ReadOptions) -> InputBuilder:
        most = self._model.positions or options.max_length
        return InputBuilder(
            self._tokenizer.markers,
            self._shape,
            max_length=min(options.max_length, most),
            quirks=self._quirks,
        )

    def _rows(
        self,
        builder: InputBuilder,
        window: int,
        text: WordTokens,
        entities: Sequence[str] | None,
        relations: Sequence[str] | None,
    ) -> list[ReaderRow]:
        first, second = (
            list(zip(names, self._tokenizer.encode_candidates(names), strict=True))
            for names in (entities or (), relations or ())
        )
        return builder.build(window, text, first, second)

    def _read_batch(
        self,
        rows: Sequence[ReaderRow],
        placed: Sequence[tuple[TokenSpan, ...] | None],
        options: ReadOptions,
    ) -> list[RowReading]:
        encoded = self._model.encode([row.tokens for row in rows])
        spans = self._find_spans(rows, placed, encoded)
        kept = [_most_probable(found, options.max_spans) for found in spans]
        scores = self._class_scores(rows, kept, encoded)
        return [
            RowReading(
                row=row,
                spans=tuple(kept[i]),
                scores=scores[i],
                triples=tuple(self._find_triples(i, row, kept[i], scores[i], encoded, options)),
                spans_left_out=len(spans[i]) - len(kept[i]),
            )
            for i, row in enumerate(rows)
        ]

    def _find_spans(
        self,
        rows: Sequence[ReaderRow],
        placed: Sequence[tuple[TokenSpan, ...] | None],
        encoded: Encoded[Any],
    ) -> list[list[TokenSpan]]:
        """Return the placed mentions of each row, or find its spans."""
        spans: list[list[TokenSpan]] = [list(mentions or ()) for mentions in placed]
        starts: list[tuple[int, int, float]] = []
        for i, row in enumerate(rows):
            if placed[i] is None:
                tokens, scores = pick_starts(encoded.starts[i], row.tokens.n_text)
                starts += [(i, int(t), float(s)) for t, s in zip(tokens, scores, strict=True)]
        if not starts:
            return spans
        logits = self._model.ends(
            encoded,
            np.array([i for i, _, _ in starts], dtype=np.int64),
            np.array([start for _, start, _ in starts], dtype=np.int64),
            n_tokens=1 + max(row.tokens.n_text for row in rows),
        )
        for (i, start, score), ends in zip(starts, logits, strict=True):
            for span in self._pick_ends(ends, start, rows[i].tokens.n_text):
                spans[i].append(TokenSpan(start=span.start, end=span.end, score=score * span.score))
        return spans

    def _pick_ends(self, logits: FloatArray, start: int, n_text: int) -> list[TokenSpan]:
        if self._model.settings.heads.end_classes == 1:
            return [pick_end(logits, start, n_text, quirks=self._quirks)]
        backwards = self._quirks and self._shape.links
        return pick_ends(logits, start, n_text, backwards=backwards)

    def _class_scores(
        self, rows: Sequence[ReaderRow], spans: Sequence[Sequence[TokenSpan]], encoded: Encoded[Any]
    ) -> list[FloatArray]:
        """Return the probabilities of the classes of each span, row by row."""
        counts = [len(found) for found in spans]
        if not (self._shape.links or self._shape.closed) or not sum(counts):
            return [np.zeros((count, 0), dtype=np.float32) for count in counts]
        logits = self._model.link(encoded, _batch_spans(enumerate(spans)))
        scores = []
        for row, of_row in zip(rows, np.split(logits, np.cumsum(counts)[:-1]), strict=True):
            classes = of_row[:, : len(row.tokens.entity_positions)]
            if self._shape.links:
                scores.append(link_scores(classes, quirks=self._quirks))
            else:
                scores.append(sigmoid(classes))
        return scores

    def _find_triples(
        self,
        i: int,
        row: ReaderRow,
        spans: Sequence[TokenSpan],
        scores: FloatArray,
        encoded: Encoded[Any],
        options: ReadOptions,
    ) -> Iterator[tuple[int, int, int, float]]:
        n_relations = len(row.tokens.relation_positions)
        if self._shape.links or not spans or not n_relations:
            return
        threshold = options.relation_threshold
        if threshold is None:
            threshold = self._model.settings.threshold
        pieces = self._model.relate(
            encoded,
            _batch_spans([(i, spans)]),
            types=scores if self._shape.closed else None,
            n_relations=n_relations,
        )
        for subjects, objects, found in pieces:
            for k, relation in np.argwhere(found > threshold):
                score = float(found[k, relation])
                yield int(subjects[k]), int(relation), int(objects[k]), score

    def _predict(
        self,
        readings: Sequence[RowReading],
        text: WordTokens,
        window: UpstreamWindow,
        options: ReadOptions,
    ) -> WindowPrediction:
        if self._shape.links:
            return predict_links(
                readings, text, quirks=self._quirks, remove_nmes=options.remove_nmes
            )
        return predict_relations(readings[0], text, window, quirks=self._quirks)


def place_mentions(
    window: UpstreamWindow, text: WordTokens, mentions: Sequence[tuple[int, int]]
) -> tuple[TokenSpan, ...]:
    """Return the token spans of mentions.

    Raises:
        InputError: A range is empty, or has no words of the window.
    """
    spans = []
    for start, end in mentions:
        tokens = overlapping_tokens((start, end), text)
        if not start < end or tokens is None:
            raise InputError(
                f"got a mention at {start}..{end} in window {window.window_id} of document "
                f"{window.doc_id}, expected a range with words of that window: give offsets in "
                "code points of the document"
            )
        first, last = tokens
        spans.append(TokenSpan(start=first, end=last, score=1.0, chars=(start, end)))
    return tuple(spans)


def row_batches(
    rows: Sequence[ReaderRow], options: ReadOptions, *, most: int | None
) -> Iterator[list[int]]:
    """Yield batches of rows of similar length, longest first, within the token budget."""
    size = options.batch_size if most is None else min(most, options.batch_size)
    lengths = [len(row.tokens.ids) for row in rows]
    batch: list[int] = []
    for k in sorted(range(len(rows)), key=lambda k: -lengths[k]):
        full = len(batch) == size
        if batch and (full or lengths[batch[0]] * (len(batch) + 1) > options.batch_tokens):
            yield batch
            batch = []
        batch.append(k)
    if batch:
        yield batch


def _for_each(values: Sequence[T | None] | None, count: int, name: str) -> Sequence[T | None]:
    if values is None:
        return [None] * count
    if len(values) != count:
        raise InputError(
            f"got {name} for {len(values)} windows, expected {count}: pass one for each window"
        )
    return values


def _most_probable(spans: Sequence[TokenSpan], most: int) -> list[TokenSpan]:
    if len(spans) <= most:
        return list(spans)
    order = np.argsort([-span.score for span in spans], kind="stable")[:most]
    return [spans[k] for k in np.sort(order)]


def _batch_spans(spans: Iterable[tuple[int, Sequence[TokenSpan]]]) -> BatchSpans:
    flat = [(i, span.start, span.end) for i, found in spans for span in found]
    columns: IntArray = np.array(flat, dtype=np.int64).reshape(-1, 3).T
    rows, starts, ends = (np.ascontiguousarray(column) for column in columns)
    return BatchSpans(rows=rows, starts=starts, ends=ends)
