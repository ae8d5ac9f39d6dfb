"""What a pipeline answered over gold documents, kept so that one pass serves every question."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from relik.evaluation.gold import GoldDocument
from relik.evaluation.score import Annotator, Proposer
from relik.types import AnnotateOptions, Annotation, EntitySpan, Window, WindowCandidates

_CHUNK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A gold document and what was answered.

    Args:
        gold: The document.
        annotation: The answer at the threshold, with the mentions that are linked to nothing.
        rejected: Mentions that only a lower threshold lets through, by position.
    """

    gold: GoldDocument
    annotation: Annotation
    rejected: tuple[EntitySpan, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What was retrieved for a document.

    Args:
        windows: Its windows.
        candidates: Candidates of each.
    """

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
        threshold: Ask for every mention, and split them at this score, 0..1; None asks for what
            `options` says and rejects nothing. A pipeline's answer at a threshold is its answer
            at 0 without the mentions below: where mentions overlap the better score wins, so
            none loses to one that is left out.

    Returns:
        One answer a document, same order.
    """
    asked = options.threshold
    if threshold is not None or (given_mentions and asked is None):
        asked = 0.0
    # Mentions linked to nothing compete for their place in either case; here they are kept,
    # but among given mentions they would be one more choice.
    options = replace(options, relations=False, nil=not given_mentions, threshold=asked)
    least = 0.0 if threshold is None else threshold
    answers: list[Answer] = []
    for chunk in _chunks(gold):
        documents = [each.document for each in chunk]
        if given_mentions:
            spans = [sorted({mention.span for mention in each.mentions}) for each in chunk]
            found = annotator.link(documents, spans, options=options)
        else:
            found = annotator.annotate(documents, options=options)
        answers += [_split(*pair, least) for pair in zip(chunk, found, strict=True)]
    return answers


def answer_triples(
    annotator: Annotator,
    gold: Sequence[GoldDocument],
    *,
    options: AnnotateOptions,
    entity_ids: bool = False,
) -> list[Answer]:
    """Find the triples of gold documents as `evaluate_triples` does.

    Returns:
        One answer a document, same order.
    """
    # A mention of nothing known can be the end of a triple where only boundaries count.
    options = replace(options, relations=True, nil=not entity_ids)
    answers: list[Answer] = []
    for chunk in _chunks(gold):
        found = annotator.annotate([each.document for each in chunk], options=options)
        answers += [
            Answer(gold=each, annotation=annotation)
            for each, annotation in zip(chunk, found, strict=True)
        ]
    return answers


def propose(
    proposer: Proposer, gold: Sequence[GoldDocument], *, options: AnnotateOptions
) -> list[Proposed]:
    """Retrieve the entity candidates of gold documents.

    Returns:
        What was retrieved for each document, same order.
    """
    options = replace(options, relations=False)
    answers: list[Proposed] = []
    for chunk in _chunks(gold):
        split = [proposer.split(each.document) for each in chunk]
        found = iter(proposer.retrieve(list(chain.from_iterable(split)), options=options))
        answers += [
            Proposed(windows=tuple(windows), candidates=tuple(next(found) for _ in windows))
            for windows in split
        ]
    return answers


def _split(gold: GoldDocument, annotation: Annotation, least: float) -> Answer:
    kept = tuple(found for found in annotation.spans if found.score >= least)
    return Answer(
        gold=gold,
        annotation=replace(annotation, spans=kept),
        rejected=tuple(found for found in annotation.spans if found.score < least),
    )


def _chunks(gold: Sequence[GoldDocument]) -> Iterator[Sequence[GoldDocument]]:
    for start in range(0, len(gold), _CHUNK):
        yield gold[start : start + _CHUNK]
