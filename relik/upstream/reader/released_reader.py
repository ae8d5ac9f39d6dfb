"""Released readers: windows and candidate strings in, spans with labels and triples out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np

from relik.errors import BundleCorruptError, InputError
from relik.types import FloatArray, IntArray
from relik.upstream.checkpoint.reader_config import Kind
from relik.upstream.reader.arithmetic import Encoded, Places, ReaderArithmetic
from relik.upstream.reader.labels import (
    TokenSpan,
    link_scores,
    pick_end,
    pick_ends,
    pick_starts,
    sigmoid,
    tokens_under,
)
from relik.upstream.reader.marked_rows import InputBuilder, ReaderRow, ReaderShape
from relik.upstream.reader.predictions import (
    PredictedSpan,
    PredictedTriple,
    RowReading,
    WindowPrediction,
    linked,
    related,
)
from relik.upstream.text.subwords import ReaderTokenizer, WordTokens
from relik.upstream.text.token_windows import UpstreamWindow

__all__ = [
    "PredictedSpan",
    "PredictedTriple",
    "ReadOptions",
    "UpstreamReader",
    "WindowPrediction",
]

T = TypeVar("T")
Candidates = Sequence[Sequence[str] | None] | None
Mentions = Sequence[Sequence[tuple[int, int]] | None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a caller may choose per call.

    Args:
        max_length: Most tokens of a row; fewer where the backbone has fewer positions.
        relation_threshold: Probability above which a relation holds, 0..1; None takes the
            reader's own.
        remove_nmes: Leave spans out that are linked to "--NME--".
        batch_size: Most rows at once.
        batch_tokens: Most tokens at once, padding included; one row may have more.
        max_spans: Most spans of a row that are linked and related, the most probable ones.

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
                raise InputError(f"got {name} {getattr(self, name)}, expected at least 1")
        if self.relation_threshold is not None and not 0.0 <= self.relation_threshold <= 1.0:
            raise InputError(
                f"got relation_threshold {self.relation_threshold}, expected 0..1 or None"
            )


def place_mentions(
    window: UpstreamWindow, text: WordTokens, mentions: Sequence[tuple[int, int]]
) -> tuple[TokenSpan, ...]:
    """Find the tokens of given mentions.

    Raises:
        InputError: A range is empty, or has no words of the window.
    """
    spans = []
    for start, end in mentions:
        tokens = tokens_under((start, end), text)
        if not start < end or tokens is None:
            raise InputError(
                f"got a mention at {start}..{end} in window {window.window_id} of document "
                f"{window.doc_id}, expected a range with words of that window: give code points "
                "of the document"
            )
        first, last = tokens
        spans.append(TokenSpan(start=first, end=last, score=1.0, chars=(start, end)))
    return tuple(spans)


def row_batches(
    rows: Sequence[ReaderRow], options: ReadOptions, *, most: int | None
) -> Iterator[list[int]]:
    """Put rows of like length together, longest first, within the budget."""
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


class UpstreamReader:
    """A released reader.

    Args:
        model: Its arithmetic.
        tokenizer: Its subwords.
        use_nme: "--NME--" stands before the entities.
        quirks: Read and decode as upstream does; the tokenizer was opened for the same.
    """

    def __init__(
        self,
        model: ReaderArithmetic,
        tokenizer: ReaderTokenizer,
        *,
        use_nme: bool,
        quirks: bool,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._quirks = quirks
        self._shape = ReaderShape(
            links=model.settings.kind == "span",
            closed=model.settings.closed,
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
            backbone: Folder with the config.json of its backbone, where the name in the reader's
                own is neither a known one nor a folder beside the reader.
            use_nme: Show "--NME--" before the entities.
            device: Such as "cpu" or "cuda".
            precision: "float32", "float16" or "bfloat16".
            quirks: Do as upstream 1.0.7 does, defects and all; but never crash or loop.

        Raises:
            BundleError: A file is missing or broken, or two do not fit each other.
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
        """Put a model and the tokenizer of a folder together.

        Raises:
            BundleError: The tokenizer is missing, broken, or does not fit the model.
        """
        tokenizer = ReaderTokenizer.open(folder, quirks=quirks)
        if tokenizer.markers.n_all > model.n_words:
            raise BundleCorruptError(
                f"{folder}: got a tokenizer of {tokenizer.markers.n_all} tokens and embeddings of "
                f"{model.n_words}, expected no more tokens: fetch the model again"
            )
        return cls(model, tokenizer, use_nme=use_nme, quirks=quirks)

    @property
    def kind(self) -> Kind:
        """Return what the reader does: "span" links spans, "triplet" relates them."""
        return self._model.settings.kind

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
            span_candidates: For each window entity candidates in the order they were retrieved,
                or None; None for all where there are none.
            mentions: For each window the spans to read, as ranges of code points of the document;
                None, for all or for a window, finds them.

        Returns:
            One prediction a window, in the same order.

        Raises:
            InputError: Windows and candidates differ in number, or a mention lies outside of its
                window; `TextTooLongError` where a window leaves no room for candidates.
            InferenceError: The model failed.
        """
        given = _for_each(mentions, len(windows), "mentions")
        texts = self._tokenizer.encode_words(windows)
        placed = [
            None if spans is None else place_mentions(window, text, spans)
            for window, text, spans in zip(windows, texts, given, strict=True)
        ]
        # A window with nothing to read in it needs no model.
        wanted = [len(t.ids) > 0 and known != () for t, known in zip(texts, placed, strict=True)]
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
            predictions[i] = self._prediction(list(group), texts[i], windows[i], options)
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
        given: Sequence[tuple[TokenSpan, ...] | None],
        options: ReadOptions,
    ) -> list[RowReading]:
        encoded = self._model.encode([row.tokens for row in rows])
        spans = self._spans(rows, given, encoded)
        kept = [_most_probable(found, options.max_spans) for found in spans]
        scores = self._scores(rows, kept, encoded)
        return [
            RowReading(
                row=row,
                spans=tuple(kept[i]),
                scores=scores[i],
                triples=tuple(self._triples(i, row, kept[i], scores[i], encoded, options)),
                spans_left_out=len(spans[i]) - len(kept[i]),
            )
            for i, row in enumerate(rows)
        ]

    def _spans(
        self,
        rows: Sequence[ReaderRow],
        given: Sequence[tuple[TokenSpan, ...] | None],
        encoded: Encoded,
    ) -> list[list[TokenSpan]]:
        """Find the spans of each row, or take those that are given."""
        spans: list[list[TokenSpan]] = [list(known or ()) for known in given]
        begun: list[tuple[int, int, float]] = []
        for i, row in enumerate(rows):
            if given[i] is None:
                tokens, scores = pick_starts(encoded.starts[i], row.tokens.n_text)
                begun += [(i, int(t), float(s)) for t, s in zip(tokens, scores, strict=True)]
        if not begun:
            return spans
        logits = self._model.ends(
            encoded,
            np.array([i for i, _, _ in begun], dtype=np.int64),
            np.array([start for _, start, _ in begun], dtype=np.int64),
            n_tokens=1 + max(row.tokens.n_text for row in rows),
        )
        for (i, start, score), ends in zip(begun, logits, strict=True):
            for span in self._ends(ends, start, rows[i].tokens.n_text):
                spans[i].append(TokenSpan(start=span.start, end=span.end, score=score * span.score))
        return spans

    def _ends(self, logits: FloatArray, start: int, n_text: int) -> list[TokenSpan]:
        if self._model.settings.heads.end_classes == 1:
            return [pick_end(logits, start, n_text, quirks=self._quirks)]
        backwards = self._quirks and self._shape.links
        return pick_ends(logits, start, n_text, backwards=backwards)

    def _scores(
        self, rows: Sequence[ReaderRow], spans: Sequence[Sequence[TokenSpan]], encoded: Encoded
    ) -> list[FloatArray]:
        """Give the probabilities of the classes of each span of each row."""
        counts = [len(found) for found in spans]
        if not (self._shape.links or self._shape.closed) or not sum(counts):
            return [np.zeros((count, 0), dtype=np.float32) for count in counts]
        logits = self._model.link(encoded, _places(enumerate(spans)))
        scores = []
        for row, of_row in zip(rows, np.split(logits, np.cumsum(counts)[:-1]), strict=True):
            classes = of_row[:, : len(row.tokens.entity_positions)]
            if self._shape.links:
                scores.append(link_scores(classes, quirks=self._quirks))
            else:
                scores.append(sigmoid(classes))
        return scores

    def _triples(
        self,
        i: int,
        row: ReaderRow,
        spans: Sequence[TokenSpan],
        scores: FloatArray,
        encoded: Encoded,
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
            _places([(i, spans)]),
            types=scores if self._shape.closed else None,
            n_relations=n_relations,
        )
        for subjects, objects, found in pieces:
            for k, relation in np.argwhere(found > threshold):
                score = float(found[k, relation])
                yield int(subjects[k]), int(relation), int(objects[k]), score

    def _prediction(
        self,
        readings: Sequence[RowReading],
        text: WordTokens,
        window: UpstreamWindow,
        options: ReadOptions,
    ) -> WindowPrediction:
        if self._shape.links:
            return linked(readings, text, quirks=self._quirks, remove_nmes=options.remove_nmes)
        return related(readings[0], text, window, quirks=self._quirks)


def _for_each(values: Sequence[T | None] | None, count: int, name: str) -> Sequence[T | None]:
    if values is None:
        return [None] * count
    if len(values) != count:
        raise InputError(f"got {name} for {len(values)} windows, expected {count}: one for each")
    return values


def _most_probable(spans: Sequence[TokenSpan], most: int) -> list[TokenSpan]:
    if len(spans) <= most:
        return list(spans)
    order = np.argsort([-span.score for span in spans], kind="stable")[:most]
    return [spans[k] for k in np.sort(order)]


def _places(spans: Iterable[tuple[int, Sequence[TokenSpan]]]) -> Places:
    flat = [(i, span.start, span.end) for i, found in spans for span in found]
    columns: IntArray = np.array(flat, dtype=np.int64).reshape(-1, 3).T
    rows, starts, ends = (np.ascontiguousarray(column) for column in columns)
    return Places(rows=rows, starts=starts, ends=ends)
