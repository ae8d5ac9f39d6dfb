"""What was read in the windows of a text, joined into one answer: as upstream does, or better.

Upstream keeps every span and triple of every window. Here overlapping spans are resolved by their
probability, with the rules of our own pipeline, and a triple is given once.
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
    """A window and what was read in it.

    Args:
        window: The window.
        prediction: Its spans and triples.
    """

    window: UpstreamWindow
    prediction: WindowPrediction


@dataclass(frozen=True, slots=True)
class Joined:
    """The answer for a text.

    Args:
        spans: By position, then label.
        triplets: By subject, relation and object.
    """

    spans: list[Span]
    triplets: list[Triplets]


def join_windows(
    document: TokenText, readings: Sequence[Reading], *, words: bool, given: bool
) -> Joined:
    """Join windows so that each stretch of text is one mention at most.

    Args:
        words: Count tokens, not code points; a span then has the tokens it lies in.
        given: The caller gave the mentions: all of them stay, also where two overlap.

    Returns:
        Where spans overlap, the most probable, then the longest; a triple moves to the span
        with the same label that took the place of its end, else it is dropped.
    """
    annotations = [_annotation(document, one, words=words) for one in readings if one.window.text]
    if given:
        spans, triples = _best_of_each(annotations)
    else:
        merged = windowing.merge(Document(doc_id="", text=document.text), annotations, nil=True)
        spans, triples = list(merged.spans), list(merged.triples)
    written = {
        found.span: _written(document, found.span, found.entity_id or "", words=words)
        for found in spans
    }
    return Joined(
        spans=[written[found.span] for found in spans],
        triplets=[
            Triplets(written[one.subject], one.relation_id, written[one.object], one.score)
            for one in triples
        ],
    )


def join_as_upstream(document: TokenText, readings: Sequence[Reading], *, words: bool) -> Joined:
    """Join windows as upstream does: every span and every triple of every window.

    Returns:
        Distinct spans; of several windows distinct triples too, where those count as such whose
        confidence differs.
    """
    spans: set[Labelled] = set()
    related: list[tuple[Labelled, str, Labelled, float]] = []
    for reading in readings:
        placed = [_placed(document, span, words=words) for span in reading.prediction.spans]
        spans.update(placed)
        related += [
            (placed[one.subject], one.relation, placed[one.object], one.probability)
            for one in reading.prediction.triples
        ]
    written = {
        (start, end, label): Span(start, end, label, _text(document, start, end, words=words))
        for start, end, label in sorted(spans)
    }
    return Joined(
        spans=list(written.values()),
        triplets=[
            Triplets(written[subject], relation, written[object_], score)
            for subject, relation, object_, score in sorted(
                related if len(readings) == 1 else set(related)
            )
        ],
    )


def _placed(document: TokenText, span: PredictedSpan, *, words: bool) -> Labelled:
    if not words:
        return span.start, span.end, span.label
    return (*word_range(document, span.start, span.end), span.label)


def _text(document: TokenText, start: int, end: int, *, words: bool) -> str:
    return slice_words(document, start, end) if words else document.text[start:end]


def _annotation(document: TokenText, reading: Reading, *, words: bool) -> WindowAnnotation:
    """Say what was read in the words of our own pipeline, in code points."""
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


def _best_of_each(
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


def _written(document: TokenText, place: Place, label: str, *, words: bool) -> Span:
    start, end = place.start, place.end
    if words:
        start, end = word_range(document, start, end)
    return Span(start, end, label, document.text[place.start : place.end])
