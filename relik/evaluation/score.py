"""Evaluation of entities, triples and retrieval over gold documents."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Protocol

from relik.evaluation.counts import (
    entity_counts,
    found_triples,
    gold_triples,
    known_triple_counts,
    linking_counts,
    retrieval_ranks,
    triple_counts,
)
from relik.evaluation.gold import GoldDocument
from relik.evaluation.metrics import Counts, accuracy, precision_recall_f1, recall_at
from relik.types import AnnotateOptions, Annotation, Document, Span, Window, WindowCandidates

CUTOFFS = (1, 5, 10, 20, 30, 50, 100)
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


class KnownIds(Protocol):
    """The ids of a knowledge base, such as `KnowledgeBase`."""

    def __contains__(self, entity_id: object) -> bool:
        """Tell whether an id is in the knowledge base."""


def evaluate_entities(
    annotator: Annotator,
    gold: Sequence[GoldDocument],
    *,
    known: KnownIds,
    options: AnnotateOptions,
    given_mentions: bool = False,
) -> dict[str, object]:
    """Score linked mentions by strong matching: exact span and id.

    Gold is restricted to ids in the knowledge base. Predictions that overlap any other gold
    mention are left out of `inkb`, and wrong in `with_nil`. With given mentions both readings are
    an accuracy: over mentions with an id in the knowledge base, and over all mentions, where one
    without such an id should be NIL.

    Args:
        given_mentions: Give the gold spans and judge only the linking.

    Returns:
        `inkb` and `with_nil`, each in the form of `precision_recall_f1`.
    """
    # Given mentions are linked at any score, unless the caller sets a threshold.
    least = 0.0 if given_mentions and options.threshold is None else options.threshold
    options = replace(options, relations=False, nil=False, threshold=least)
    inkb: list[Counts] = []
    with_nil: list[Counts] = []
    for chunk in _chunks(gold):
        documents = [each.document for each in chunk]
        if given_mentions:
            spans = [sorted({mention.span for mention in each.mentions}) for each in chunk]
            found = annotator.link(documents, spans, options=options)
        else:
            found = annotator.annotate(documents, options=options)
        for each, annotation in zip(chunk, found, strict=True):
            count = linking_counts if given_mentions else entity_counts
            one, other = count(each, annotation, known)
            inkb.append(one)
            with_nil.append(other)
    rate = accuracy if given_mentions else precision_recall_f1
    return {"inkb": rate(inkb), "with_nil": rate(with_nil)}


def evaluate_triples(
    annotator: Annotator,
    gold: Sequence[GoldDocument],
    *,
    options: AnnotateOptions,
    entity_ids: bool = False,
    known: KnownIds | None = None,
) -> dict[str, object]:
    """Score triples as a set per document.

    Args:
        entity_ids: Compare (subject id, relation, object id), over gold triples whose ends both
            have ids, instead of (subject span, relation, object span).
        known: The knowledge base. With it and `entity_ids` there are two more readings, on the
            gold triples whose ids it has.

    Returns:
        `triples`; with `known` also `inkb` and `marked`, the two counts of `known_triple_counts`;
        each in the form of `precision_recall_f1`.
    """
    # A NIL mention can be the end of a triple where only spans are compared.
    options = replace(options, relations=True, nil=not entity_ids)
    counts, inkb, marked = [], [], []
    for chunk in _chunks(gold):
        found = annotator.annotate([each.document for each in chunk], options=options)
        for each, annotation in zip(chunk, found, strict=True):
            wanted = gold_triples(each, entity_ids=entity_ids)
            got = found_triples(annotation, entity_ids=entity_ids)
            counts.append(triple_counts(wanted.keys(), got.keys()))
            if entity_ids and known is not None:
                of_known, of_marked = known_triple_counts(each, annotation, known)
                inkb.append(of_known)
                marked.append(of_marked)
    rated: dict[str, object] = {"triples": precision_recall_f1(counts)}
    if entity_ids and known is not None:
        rated |= {"inkb": precision_recall_f1(inkb), "marked": precision_recall_f1(marked)}
    return rated


def evaluate_retrieval(
    proposer: Proposer,
    gold: Sequence[GoldDocument],
    *,
    known: KnownIds,
    options: AnnotateOptions,
) -> dict[str, object]:
    """Score candidates: the share of (window, entity) pairs whose entity is proposed.

    The entities of a window are those of the gold mentions that it contains. A mention that no
    window contains counts as one missed pair.

    Args:
        options: `top_k` bounds the candidates; 100 where it is None.

    Returns:
        `recall_at` by cutoff, with `ci95` and `counts`, in the form of `metrics.recall_at`.
    """
    deepest = options.top_k or max(CUTOFFS)
    options = replace(options, relations=False, top_k=deepest)
    cutoffs = [cutoff for cutoff in CUTOFFS if cutoff <= deepest] or [deepest]
    hits: list[list[int]] = []
    totals: list[int] = []
    for chunk in _chunks(gold):
        split = [proposer.split(each.document) for each in chunk]
        proposed = iter(proposer.retrieve(list(chain.from_iterable(split)), options=options))
        for each, windows in zip(chunk, split, strict=True):
            ranks, total = retrieval_ranks(each, windows, [next(proposed) for _ in windows], known)
            hits.append([sum(rank < cutoff for rank in ranks) for cutoff in cutoffs])
            totals.append(total)
    return recall_at(hits, totals, cutoffs=cutoffs)


def _chunks(gold: Sequence[GoldDocument]) -> Iterator[Sequence[GoldDocument]]:
    for start in range(0, len(gold), _CHUNK):
        yield gold[start : start + _CHUNK]
