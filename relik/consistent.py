"""What triples of one document say of each other."""

from dataclasses import replace
from typing import Protocol

from relik.reader.priors import Knowledge, name_shares
from relik.types import Annotation, Span, Triple

Thing = str | Span
"""What an end of a triple stands for: a record, or the mention where it is linked to none."""


class Rows(Knowledge, Protocol):
    """A knowledge base that knows the rows of its ids."""

    def row_of(self, entity_id: str) -> int | None:
        """Return the row of an id."""


def refined(annotation: Annotation, text: str, *, kb: Rows, most: int) -> Annotation:
    """Drop triples that do not stand beside the others.

    Args:
        annotation: What was found in a document.
        text: Its text.
        kb: Knowledge base of the entities.
        most: As for `best_relations`.

    Returns:
        The same, without triples that `without_loops` and `best_relations` drop.
    """
    return best_relations(without_loops(annotation, text, kb), most)


def without_loops(annotation: Annotation, text: str, kb: Rows) -> Annotation:
    """Drop triples between two mentions of the same record.

    No statement of a knowledge base relates a record to itself; such a triple comes from a mention
    that is linked wrongly. Where records are kinds of things, as with types in place of entities,
    two mentions of one record are two things: there no mention has the name of its record, and
    nothing is dropped.

    Args:
        annotation: What was found in a document.
        text: Its text.
        kb: Knowledge base of the entities.

    Returns:
        The same, without those triples.
    """
    entity = {span.span: span.entity_id for span in annotation.spans}
    loops = {triple for triple in annotation.triples if _is_loop(triple, entity)}
    # Once for each mention, however many relations it has: a client may ask for all of them.
    named = {
        end
        for end in {end for triple in loops for end in (triple.subject, triple.object)}
        if kb.row_of(entity[end] or "") in name_shares(kb, text[end.start : end.end])
    }
    kept = tuple(
        triple
        for triple in annotation.triples
        if triple not in loops or named.isdisjoint((triple.subject, triple.object))
    )
    return annotation if len(kept) == len(annotation.triples) else replace(annotation, triples=kept)


def best_relations(annotation: Annotation, most: int) -> Annotation:
    """Keep the best relations of each subject and object.

    Mentions of one record are one subject, or object. Knowledge graphs and data sets often have one
    relation where several hold ("country" where "located in" would do).

    Args:
        annotation: What was found in a document.
        most: Most relations of a subject and an object, by the best score; 0 keeps all.

    Returns:
        The same, with the triples of those relations.
    """
    if not most:
        return annotation
    thing = {
        span.span: span.entity_id if span.entity_id is not None else span.span
        for span in annotation.spans
    }
    keys = [_key(triple, thing) for triple in annotation.triples]
    scores: dict[tuple[Thing, Thing], dict[str, float]] = {}
    for key, triple in zip(keys, annotation.triples, strict=True):
        of_pair = scores.setdefault(key, {})
        of_pair[triple.relation_id] = max(triple.score, of_pair.get(triple.relation_id, 0.0))
    best = {
        key: set(sorted(of_pair, key=lambda relation: (-of_pair[relation], relation))[:most])
        for key, of_pair in scores.items()
    }
    kept = tuple(
        triple
        for key, triple in zip(keys, annotation.triples, strict=True)
        if triple.relation_id in best[key]
    )
    return replace(annotation, triples=kept)


def _key(triple: Triple, thing: dict[Span, Thing]) -> tuple[Thing, Thing]:
    return (
        thing.get(triple.subject, triple.subject),
        thing.get(triple.object, triple.object),
    )


def _is_loop(triple: Triple, entity: dict[Span, str | None]) -> bool:
    record = entity.get(triple.subject)
    apart = triple.subject != triple.object
    return apart and record is not None and record == entity.get(triple.object)
