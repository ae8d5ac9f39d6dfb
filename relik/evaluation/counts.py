"""Counts of one document: mentions, triples and candidates compared with gold."""

from collections.abc import Container, Sequence
from typing import TypeAlias, TypeGuard

from relik.evaluation.gold import GoldDocument, GoldTriple
from relik.evaluation.metrics import Counts
from relik.types import Annotation, Span, Triple, Window, WindowCandidates

TripleKey: TypeAlias = tuple[Span | str, str, Span | str]
"""Subject, relation id, object; subject and object as spans, or as entity ids."""


def contains(outer: Span, inner: Span) -> bool:
    """Tell whether a span contains another."""
    return outer.start <= inner.start and inner.end <= outer.end


def known_mentions(gold: GoldDocument, known: Container[str]) -> set[tuple[Span, str]]:
    """Return span and id of the gold mentions whose id is in the knowledge base."""
    return {
        (mention.span, mention.entity_id)
        for mention in gold.mentions
        if mention.entity_id is not None and mention.entity_id in known
    }


def unjudged_spans(gold: GoldDocument, known: Container[str]) -> list[Span]:
    """Return the spans of gold mentions without a known id, in the order of the file."""
    return [
        mention.span
        for mention in gold.mentions
        if mention.entity_id is None or mention.entity_id not in known
    ]


def entity_counts(
    gold: GoldDocument, annotation: Annotation, known: Container[str]
) -> tuple[Counts, Counts]:
    """Compare linked mentions by exact span and id.

    Returns:
        Counts that leave out predictions that overlap a mention without a known id, and counts
        in which these are wrong.
    """
    wanted, unjudged = known_mentions(gold, known), unjudged_spans(gold, known)
    got = {(f.span, f.entity_id) for f in annotation.spans if f.entity_id is not None}
    right = len(wanted & got)
    excused = sum(any(span.overlaps(other) for other in unjudged) for span, _ in got - wanted)
    missed, wrong = len(wanted) - right, len(got) - right
    return (
        Counts(right=right, wrong=wrong - excused, missed=missed),
        Counts(right=right, wrong=wrong, missed=missed),
    )


def linking_counts(
    gold: GoldDocument, annotation: Annotation, known: Container[str]
) -> tuple[Counts, Counts]:
    """Count which gold mentions, given to the pipeline, it links as in gold.

    Returns:
        Right and wrong over mentions with a known id; and over all, where a mention without one
        should be NIL.
    """
    answer = {found.span: found.entity_id for found in annotation.spans}
    linked = unlinked = right = right_unlinked = 0
    for mention in gold.mentions:
        if mention.entity_id is not None and mention.entity_id in known:
            linked += 1
            right += answer.get(mention.span) == mention.entity_id
        else:
            unlinked += 1
            right_unlinked += answer.get(mention.span) is None
    right_of_all = right + right_unlinked
    return (
        Counts(right=right, wrong=linked - right),
        Counts(right=right_of_all, wrong=linked + unlinked - right_of_all),
    )


def gold_triples(
    gold: GoldDocument, *, entity_ids: bool, known: Container[str] | None = None
) -> dict[TripleKey, GoldTriple]:
    """Return the triples of gold.

    Args:
        entity_ids: Compare ends by entity id; triples with an end without one are left out.
        known: The ids of the knowledge base: other ids count as none; None accepts all.
    """
    keyed: dict[TripleKey, GoldTriple] = {}
    for triple in gold.triples:
        subject, object_ = triple.subject, triple.object
        if not entity_ids:
            keyed.setdefault((subject.span, triple.relation_id, object_.span), triple)
        elif _is_known(subject.entity_id, known) and _is_known(object_.entity_id, known):
            keyed.setdefault((subject.entity_id, triple.relation_id, object_.entity_id), triple)
    return keyed


def _is_known(entity_id: str | None, known: Container[str] | None) -> TypeGuard[str]:
    return entity_id is not None and (known is None or entity_id in known)


def found_triples(annotation: Annotation, *, entity_ids: bool) -> dict[TripleKey, Triple]:
    """Return the triples of an answer; see `gold_triples`."""
    entity_of = {found.span: found.entity_id for found in annotation.spans}
    keyed: dict[TripleKey, Triple] = {}
    for triple in sorted(annotation.triples, key=lambda triple: -triple.score):
        if not entity_ids:
            keyed.setdefault((triple.subject, triple.relation_id, triple.object), triple)
            continue
        subject, object_ = entity_of[triple.subject], entity_of[triple.object]
        if subject is not None and object_ is not None:
            keyed.setdefault((subject, triple.relation_id, object_), triple)
    return keyed


def known_triple_counts(
    gold: GoldDocument, annotation: Annotation, known: Container[str]
) -> tuple[Counts, Counts]:
    """Compare triples by entity id with the gold triples whose ids are in the knowledge base.

    Returns:
        Counts that leave out triples with an end that overlaps a mention without a known id, as in
        `entity_counts`; and counts that also leave out triples with an end outside every gold
        mention, for data that marks only some mentions, such as hyperlinks of Wikipedia.
    """
    wanted = gold_triples(gold, entity_ids=True, known=known).keys()
    marked = [span for span, _ in known_mentions(gold, known)]
    unjudged = unjudged_spans(gold, known)
    right = excused = elsewhere = wrong = 0
    for key, triple in found_triples(annotation, entity_ids=True).items():
        ends = (triple.subject, triple.object)
        if key in wanted:
            right += 1
        elif any(end.overlaps(other) for end in ends for other in unjudged):
            excused += 1
        elif not all(any(end.overlaps(other) for other in marked) for end in ends):
            elsewhere += 1
        else:
            wrong += 1
    missed = len(wanted) - right
    return (
        Counts(right=right, wrong=wrong + elsewhere, missed=missed),
        Counts(right=right, wrong=wrong, missed=missed),
    )


def retrieval_ranks(
    gold: GoldDocument,
    windows: Sequence[Window],
    proposed: Sequence[WindowCandidates],
    known: Container[str],
) -> tuple[list[int], int]:
    """Rank gold entities among the candidates of the windows that contain their mentions.

    Returns:
        Ranks, from 0, of the (window, entity) pairs whose entity was proposed, and the number of
        pairs. A mention that no window contains counts as one pair that was not proposed.
    """
    mentions = known_mentions(gold, known)
    ranks, total, held = [], 0, set()
    for window, candidates in zip(windows, proposed, strict=True):
        rank_of = {c.entity_id: rank for rank, c in enumerate(candidates.entities)}
        inside = {(span, entity_id) for span, entity_id in mentions if contains(window.span, span)}
        held |= inside
        entity_ids = {entity_id for _, entity_id in inside}
        total += len(entity_ids)
        ranks += [rank_of[entity_id] for entity_id in sorted(entity_ids) if entity_id in rank_of]
    return ranks, total + len(mentions - held)
