"""Predictions of a released reader for a window, from the readings of its rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from relik.types import FloatArray
from relik.upstream.reader.labels import (
    TokenSpan,
    best_candidates,
    label_of,
    round_score,
    token_chars,
    word_chars,
)
from relik.upstream.reader.marked_rows import ReaderRow
from relik.upstream.text.subwords import NME, WordTokens
from relik.upstream.text.token_windows import UpstreamWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedSpan:
    """A mention in a window.

    Args:
        start: First code point in the document.
        end: One past the last; with quirks it may be before `start`.
        label: The linked candidate, or "--NME--" for NIL.
        probability: Of the label, 0..1; of the mention for a reader without entities.
        candidates: The best candidates and their probabilities, 0..1, best first.
    """

    start: int
    end: int
    label: str
    probability: float
    candidates: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedTriple:
    """A relation between two mentions of a window.

    Args:
        subject: Position among the spans.
        object: Position among the spans.
        probability: 0..1; with quirks rounded to two decimals.
    """

    subject: int
    relation: str
    object: int
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPrediction:
    """The spans and triples of a window.

    Args:
        spans: Sorted by position and label.
        triples: Sorted by subject, relation and object.
        left_out: Number of candidates that did not fit.
        spans_left_out: Number of spans beyond `max_spans`.
    """

    spans: tuple[PredictedSpan, ...] = ()
    triples: tuple[PredictedTriple, ...] = ()
    left_out: int = 0
    spans_left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RowReading:
    """The spans and triples of a row.

    Args:
        scores: Float32, (n_spans, n_classes), probabilities 0..1: of NONE and each entity for a
            linking reader, of each entity for a closed one, else without classes.
        triples: Positions of subject, relation and object, and the probability, 0..1.
        spans_left_out: Number of spans beyond `max_spans`.
    """

    row: ReaderRow
    spans: tuple[TokenSpan, ...]
    scores: FloatArray
    triples: tuple[tuple[int, int, int, float], ...]
    spans_left_out: int


def predict_links(
    readings: Sequence[RowReading], text: WordTokens, *, quirks: bool, remove_nmes: bool
) -> WindowPrediction:
    """Merge the rows of a window, which have different candidates, into linked spans.

    Args:
        quirks: Use the first label that is not "--NME--"; else the most probable such label.
    """
    found: dict[tuple[int, int], PredictedSpan] = {}
    for reading in readings:
        for span, scores in zip(reading.spans, reading.scores, strict=True):
            label = label_of(scores, reading.row.entities)
            if label is None:
                continue
            chars = span.chars or token_chars(span, text)
            fresh = PredictedSpan(
                start=chars[0],
                end=chars[1],
                label=label,
                probability=float(scores.max()),
                candidates=best_candidates(scores[1:], reading.row.entities),
            )
            # Different tokens can cover the same code points, such as one that is only a space.
            key = (span.start, span.end) if quirks else chars
            if key not in found or _is_better(fresh, found[key], quirks=quirks):
                found[key] = fresh
    kept = [s for s in found.values() if not (remove_nmes and s.label == NME)]
    spans = {_span_key(span): span for span in kept}
    return WindowPrediction(
        spans=tuple(spans[place] for place in sorted(spans)),
        left_out=readings[0].row.left_out,
        spans_left_out=sum(reading.spans_left_out for reading in readings),
    )


def predict_relations(
    reading: RowReading, text: WordTokens, window: UpstreamWindow, *, quirks: bool
) -> WindowPrediction:
    """Return the spans and triples of a window with one row.

    Args:
        quirks: Keep every label of a span, and repeated triples; else the most probable of each.
    """
    every = [
        _label_span(reading, k, span.chars or word_chars(span, text, window, quirks=quirks))
        for k, span in enumerate(reading.spans)
    ]
    best: dict[tuple[object, ...], PredictedSpan] = {}
    for span in every:
        key = (span.start, span.end, span.label) if quirks else (span.start, span.end)
        if key not in best or span.probability > best[key].probability:
            best[key] = span
    spans = sorted(best.values(), key=_span_key)
    # Triples refer to the first of several spans at one position.
    positions = {(s.start, s.end): k for k, s in reversed(list(enumerate(spans)))}
    triples = []
    for subject, relation, obj, probability in reading.triples:
        if relation < len(reading.row.relations):
            first, second = every[subject], every[obj]
            triples.append(
                PredictedTriple(
                    subject=positions[first.start, first.end],
                    relation=reading.row.relations[relation],
                    object=positions[second.start, second.end],
                    probability=round_score(probability) if quirks else probability,
                )
            )
    return WindowPrediction(
        spans=tuple(spans),
        triples=_sort_triples(triples, quirks=quirks),
        left_out=reading.row.left_out,
        spans_left_out=reading.spans_left_out,
    )


def _label_span(reading: RowReading, k: int, chars: tuple[int, int]) -> PredictedSpan:
    """Label a span with the most probable entity of its row."""
    labels, scores = reading.row.entities, reading.scores[k]
    best = best_candidates(scores, labels)
    label, probability = best[0] if best else (NME, reading.spans[k].score)
    return PredictedSpan(
        start=chars[0], end=chars[1], label=label, probability=probability, candidates=best
    )


def _is_better(fresh: PredictedSpan, kept: PredictedSpan, *, quirks: bool) -> bool:
    if quirks:
        return kept.label == NME
    return (fresh.label != NME, fresh.probability) > (kept.label != NME, kept.probability)


def _sort_triples(
    triples: Sequence[PredictedTriple], *, quirks: bool
) -> tuple[PredictedTriple, ...]:
    by_place = sorted(triples, key=lambda t: (t.subject, t.relation, t.object, -t.probability))
    if quirks:
        return tuple(by_place)
    kept = {(t.subject, t.relation, t.object): t for t in reversed(by_place)}
    return tuple(reversed(kept.values()))


def _span_key(span: PredictedSpan) -> tuple[int, int, str]:
    return span.start, span.end, span.label
