"""Merging the predictions of a text's windows: by the rules of our pipeline, or as upstream does.

Upstream keeps every span and triple of every window. Our rules resolve overlapping spans by
probability, and return a triple once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from relik import windows as windowing
from relik.types import Document, EntitySpan, Triple, Window, WindowAnnotation
from relik.types import Span as Place
from relik.upstream.dropin.outputs import Span, Triplets
from relik.upstream.reader.predictions import PredictedSpan, WindowPrediction
from relik.upstream.text.token_windows import TokenText, UpstreamWindow, slice_words, word_range

Labelled = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """A window and its predicted spans and triples."""

    window: UpstreamWindow
    prediction: WindowPrediction


@dataclass(frozen=True, slots=True)
class MergedText:
    """Spans of a text, by position and label, and triples, by subject, relation and object."""

    spans: list[Span]
    triplets: list[Triplets]


def merge_windows(
    document: TokenText, readings: Sequence[Reading], *, words: bool, given: bool
) -> MergedText:
    """Merge windows so that spans do not overlap.

    Of overlapping spans the most probable stays, then the longest. A triple of a dropped span
    moves to the span that replaced it if that has the same label, else it is dropped.

    Args:
        words: Count tokens, not code points; a span covers every token that it touches.
        given: The caller gave the mentions, so that all of them stay, even if they overlap.
    """
    annotations = [_annotation(document, one, words=words) for one in readings if one.window.text]
    if given:
        spans, triples = _best_scores(annotations)
    else:
        merged = windowing.merge(Document(doc_id="", text=document.text), annotations, nil=True)
        spans, triples = list(merged.spans), list(merged.triples)
    written = {
        found.span: _to_span(document, found.span, found.entity_id or "", words=words)
        for found in spans
    }
    return MergedText(
        spans=[written[found.span] for found in spans],
        triplets=[
            Triplets(written[one.subject], one.relation_id, written[one.object], one.score)
            for one in triples
        ],
    )


def merge_as_upstream(
    document: TokenText, readings: Sequence[Reading], *, words: bool
) -> MergedText:
    """Merge windows as upstream does: every span and every triple of every window.

    Equal spans are returned once. So are triples of several windows whose confidence is equal too.
    """
    spans: set[Labelled] = set()
    related: list[tuple[Labelled, str, Labelled, float]] = []
    for reading in readings:
        placed = [_to_labelled(document, span, words=words) for span in reading.prediction.spans]
        spans.update(placed)
        related += [
            (placed[one.subject], one.relation, placed[one.object], one.probability)
            for one in reading.prediction.triples
        ]
    written = {
        (start, end, label): Span(start, end, label, _text(document, start, end, words=words))
        for start, end, label in sorted(spans)
    }
    return MergedText(
        spans=list(written.values()),
        triplets=[
            Triplets(written[subject], relation, written[object_], score)
            for subject, relation, object_, score in sorted(
                related if len(readings) == 1 else set(related)
            )
        ],
    )


def _to_labelled(document: TokenText, span: PredictedSpan, *, words: bool) -> Labelled:
    if not words:
        return span.start, span.end, span.label
    return (*word_range(document, span.start, span.end), span.label)


def _text(document: TokenText, start: int, end: int, *, words: bool) -> str:
    return slice_words(document, start, end) if words else document.text[start:end]


def _annotation(document: TokenText, reading: Reading, *, words: bool) -> WindowAnnotation:
    """Return the prediction of a window as an annotation of our pipeline, in code points."""
    window = reading.window
    spans = [
        EntitySpan(
            span=_place(document, span, words=words), entity_id=span.label, score=span.probability
        )
        for span in reading.prediction.spans
    ]
    return WindowAnnotation(
        window=Window(
            doc_id="",
            index=window.window_id,
            span=Place(window.offset, window.offset + len(window.text)),
            text=window.text,
        ),
        spans=tuple(spans),
        triples=tuple(
            Triple(
                subject=spans[one.subject].span,
                relation_id=one.relation,
                object=spans[one.object].span,
                score=one.probability,
            )
            for one in reading.prediction.triples
        ),
    )


def _place(document: TokenText, span: PredictedSpan, *, words: bool) -> Place:
    if not words:
        return Place(span.start, span.end)
    first, last = word_range(document, span.start, span.end)
    return Place(int(document.starts[first]), int(document.ends[last - 1]))


def _best_scores(
    annotations: Sequence[WindowAnnotation],
) -> tuple[list[EntitySpan], list[Triple]]:
    best: dict[Place, EntitySpan] = {}
    related: dict[tuple[Place, str, Place], Triple] = {}
    for annotation in annotations:
        for found in annotation.spans:
            if found.span not in best or found.score > best[found.span].score:
                best[found.span] = found
        for one in annotation.triples:
            key = one.subject, one.relation_id, one.object
            if key not in related or one.score > related[key].score:
                related[key] = one
    return [best[place] for place in sorted(best)], [related[key] for key in sorted(related)]


def _to_span(document: TokenText, place: Place, label: str, *, words: bool) -> Span:
    start, end = place.start, place.end
    if words:
        start, end = word_range(document, start, end)
    return Span(start, end, label, document.text[place.start : place.end])
