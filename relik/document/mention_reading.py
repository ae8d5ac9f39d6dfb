"""Mentions that are given: placed in windows, linked and related there, and joined again."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from relik import windows as windowing
from relik.config import ReaderConfig
from relik.kb import KnowledgeBase
from relik.kb.view import KnowledgeView
from relik.names.resolve import resolve
from relik.reader.reader import TransformerReader
from relik.retriever.mention_candidates import bearers_of, readings, with_named, worth_reading
from relik.types import (
    AnnotateOptions,
    Annotation,
    Document,
    EntitySpan,
    Span,
    Triple,
    Window,
    WindowAnnotation,
    WindowCandidates,
)

_SHORTEST = 2


def read_free(
    reader: TransformerReader,
    view: KnowledgeView,
    windows: Sequence[Window],
    candidates: Sequence[WindowCandidates],
    *,
    config: ReaderConfig,
    options: AnnotateOptions,
) -> list[WindowAnnotation]:
    """Read windows whose mentions are to be found, with the candidates that are worth reading.

    A window in which a mention was linked to nothing for want of candidates is read again.

    Args:
        reader: The reader.
        view: Knowledge that the candidates are from.
        windows: Windows.
        candidates: Candidates of each.
        config: `least_candidate`, `look_again` and `threshold`, which a mention must reach that is
            looked up again. It is not the caller's: who asks for improbable mentions too gets the
            others as they are.
        options: Tasks and thresholds. Where types are asked for, a name may be of another, and is
            not looked up again.

    Returns:
        One annotation a window, same order.
    """
    worth = [worth_reading(found, config.least_candidate) for found in candidates]
    entities = view.entities
    read = reader.read(windows, worth, view, options=options)
    if not config.look_again or options.types or entities.any_case:
        return read
    asked: dict[int, WindowCandidates] = {}
    for i, (tried, told) in enumerate(zip(worth, read, strict=True)):
        if missed := list(_missed(told, tried, entities, config.threshold)):
            asked[i] = with_named(candidates[i], told.window, missed, entities)
    again = reader.read([windows[i] for i in asked], list(asked.values()), view, options=options)
    second = dict(zip(asked, again, strict=True))
    return [second.get(i, told) for i, told in enumerate(read)]


def _missed(
    told: WindowAnnotation, proposed: WindowCandidates, entities: KnowledgeBase, least: float
) -> Iterator[Span]:
    first = told.window.span.start
    held = {candidate.entity_id for candidate in proposed.entities}
    for found in told.spans:
        long = found.span.end - found.span.start >= _SHORTEST
        if found.entity_id is None and found.score >= least and long:
            surface = told.window.text[found.span.start - first : found.span.end - first]
            if _is_name(surface, entities) and held.isdisjoint(bearers_of(surface, entities)):
                yield found.span


def _is_name(surface: str, entities: KnowledgeBase) -> bool:
    """Tell whether some record has it as a name with a capital; common nouns were looked up."""
    return any(sense.cased and sense.whole for sense in resolve(entities, surface))


def read_given(
    reader: TransformerReader,
    view: KnowledgeView,
    windows: Sequence[Window],
    candidates: Sequence[WindowCandidates],
    mentions: Sequence[Sequence[Span] | None] | None,
    *,
    config: ReaderConfig,
    options: AnnotateOptions,
) -> list[WindowAnnotation]:
    """Read windows, some of them with their mentions given.

    Bearers of a given name are among the candidates, unless types are asked for. A window whose
    mentions may mean more than there is room for is read more than once; triples between mentions
    of two such readings are not found.

    Args:
        reader: The reader.
        view: Knowledge that the candidates are from.
        windows: Windows.
        candidates: Candidates of each.
        mentions: Mentions of each, in code points; None where the reader is to find them.
        config: `least_candidate` and `look_again`.
        options: Tasks and thresholds; that of spans does not apply to given mentions.

    Returns:
        One annotation a window, same order.
    """
    placed = [None] * len(windows) if mentions is None else mentions
    free = [i for i, own in enumerate(placed) if own is None]
    asked = readings(windows, candidates, placed, None if options.types else view.entities)
    linked = reader.read(
        [windows[i] for i, _, _ in asked],
        [proposed for _, _, proposed in asked],
        view,
        options=options,
        mentions=[own for _, own, _ in asked],
    )
    spans: dict[int, list[EntitySpan]] = {}
    triples: dict[int, list[Triple]] = {}
    for (i, _, _), found in zip(asked, linked, strict=True):
        spans.setdefault(i, []).extend(found.spans)
        triples.setdefault(i, []).extend(found.triples)
    of_free = [windows[i] for i in free], [candidates[i] for i in free]
    read = read_free(reader, view, *of_free, config=config, options=options)
    told = dict(zip(free, read, strict=True))
    return [
        told.get(i)
        or WindowAnnotation(
            window=window, spans=tuple(spans.get(i, ())), triples=tuple(triples.get(i, ()))
        )
        for i, window in enumerate(windows)
    ]


def with_blank_mentions(
    annotation: Annotation, document: Document, mentions: Sequence[Span]
) -> Annotation:
    """Add the given mentions of nothing but white space, which no window has, as NIL."""
    blank = (span for span in mentions if windowing.is_blank(document, span))
    spans = [*annotation.spans, *(EntitySpan(span=s, entity_id=None, score=0.0) for s in blank)]
    return replace(annotation, spans=tuple(sorted(spans, key=lambda found: found.span)))
