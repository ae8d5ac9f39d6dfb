"""Answers of a pipeline to gold documents, kept so that one pass serves every metric."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol

from relik.evaluation.gold import GoldDocument
from relik.types import (
    AnnotateOptions,
    Annotation,
    Document,
    EntitySpan,
    Span,
    Window,
    WindowCandidates,
)

_CHUNK = 64


class Annotator(Protocol):
    """A system that links mentions and finds triples, such as a pipeline."""

    def annotate(
        self, documents: Sequence[Document], *, options: AnnotateOptions
    ) -> list[Annotation]:
        """Annotate documents, in the same order."""

    def link(
        self,
        documents: Sequence[Document],
        mentions: Sequence[Sequence[Span]],
        *,
        options: AnnotateOptions,
    ) -> list[Annotation]:
        """Link given mentions of each document."""


class Proposer(Protocol):
    """A system that proposes candidates, such as a pipeline."""

    def split(self, document: Document) -> list[Window]:
        """Cut a document into windows."""

    def retrieve(
        self, windows: Sequence[Window], *, options: AnnotateOptions
    ) -> list[WindowCandidates]:
        """Propose candidates for each window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A gold document and its annotation.

    Args:
        annotation: The answer at the threshold, including NIL mentions.
        rejected: Mentions below the threshold, by position.
    """

    gold: GoldDocument
    annotation: Annotation
    rejected: tuple[EntitySpan, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """The windows of a document and the candidates of each."""

    windows: tuple[Window, ...]
    candidates: tuple[WindowCandidates, ...]


def answer_entities(
    annotator: Annotator,
    gold: Sequence[GoldDocument],
    *,
    options: AnnotateOptions,
    threshold: float | None = None,
    given_mentions: bool = False,
) -> list[Answer]:
    """Link the mentions of gold documents as `evaluate_entities` does.

    Args:
        threshold: Ask for every mention and split them at this score, 0..1; None uses `options`
            and rejects nothing. The split equals the answer at that threshold: of overlapping
            mentions the better score wins, so none loses to one below the threshold.
    """
    asked = options.threshold
    if threshold is not None or (given_mentions and asked is None):
        asked = 0.0
    # NIL mentions compete with overlapping ones in either case. Here they stay in the answer,
    # but among given mentions NIL would be one more choice.
    options = replace(options, relations=False, nil=not given_mentions, threshold=asked)
    least = 0.0 if threshold is None else threshold
    found = _annotated(annotator, gold, options, given_mentions=given_mentions)
    return [_split_by_threshold(*pair, least) for pair in found]


def answer_triples(
    annotator: Annotator,
    gold: Sequence[GoldDocument],
    *,
    options: AnnotateOptions,
    entity_ids: bool = False,
) -> list[Answer]:
    """Find the triples of gold documents as `evaluate_triples` does."""
    # A NIL mention can be the end of a triple where only spans are compared.
    options = replace(options, relations=True, nil=not entity_ids)
    found = _annotated(annotator, gold, options, given_mentions=False)
    return [Answer(gold=each, annotation=annotation) for each, annotation in found]


def _annotated(
    annotator: Annotator,
    gold: Sequence[GoldDocument],
    options: AnnotateOptions,
    *,
    given_mentions: bool,
) -> Iterator[tuple[GoldDocument, Annotation]]:
    for chunk in chunks(gold):
        documents = [each.document for each in chunk]
        if given_mentions:
            spans = [sorted({mention.span for mention in each.mentions}) for each in chunk]
            found = annotator.link(documents, spans, options=options)
        else:
            found = annotator.annotate(documents, options=options)
        yield from zip(chunk, found, strict=True)


def propose(
    proposer: Proposer, gold: Sequence[GoldDocument], *, options: AnnotateOptions
) -> list[Proposed]:
    """Retrieve the entity candidates of gold documents."""
    options = replace(options, relations=False)
    answers: list[Proposed] = []
    for chunk in chunks(gold):
        split = [proposer.split(each.document) for each in chunk]
        found = iter(proposer.retrieve(list(chain.from_iterable(split)), options=options))
        answers += [
            Proposed(windows=tuple(windows), candidates=tuple(next(found) for _ in windows))
            for windows in split
        ]
    return answers


def _split_by_threshold(gold: GoldDocument, annotation: Annotation, least: float) -> Answer:
    kept = tuple(found for found in annotation.spans if found.score >= least)
    return Answer(
        gold=gold,
        annotation=replace(annotation, spans=kept),
        rejected=tuple(found for found in annotation.spans if found.score < least),
    )


def chunks(gold: Sequence[GoldDocument]) -> Iterator[Sequence[GoldDocument]]:
    """Yield documents by 64, as many as are in memory at once."""
    for start in range(0, len(gold), _CHUNK):
        yield gold[start : start + _CHUNK]
