"""What triples of one document say of each other."""

from dataclasses import replace

from relik.config import PipelineConfig
from relik.names.resolve import Knowledge, resolve
from relik.reader.rules.document_rules import with_document_rules
from relik.reader.rules.functional import best_of, ends_of
from relik.types import Annotation, Span, Triple


def refined(
    annotation: Annotation, text: str, *, kb: Knowledge, config: PipelineConfig
) -> Annotation:
    """Drop triples that do not stand beside the others.

    Args:
        annotation: What was found in a document.
        text: Its text.
        kb: Knowledge base of the entities.
        config: `relations_per_pair`, and the rules.
    """
    # Rules first: a village is in its district alone, so that of its country another relation
    # is the best of the pair.
    found = with_document_rules(without_loops(annotation, text, kb), text, kb, config.rules)
    return best_relations(found, config.reader.relations_per_pair)


def without_loops(annotation: Annotation, text: str, kb: Knowledge) -> Annotation:
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
        if _is_named(text[end.start : end.end], entity[end], kb)
    }
    kept = tuple(
        triple
        for triple in annotation.triples
        if triple not in loops or named.isdisjoint((triple.subject, triple.object))
    )
    return annotation if len(kept) == len(annotation.triples) else replace(annotation, triples=kept)


def _is_named(surface: str, entity_id: str | None, kb: Knowledge) -> bool:
    row = kb.row_of(entity_id or "")
    return any(sense.row == row for sense in resolve(kb, surface))


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
    ends = ends_of(annotation)
    return best_of(
        annotation,
        lambda triple: (ends(triple), triple.relation_id),
        lambda triple: (triple.score,),
        most=most,
    )


def _is_loop(triple: Triple, entity: dict[Span, str | None]) -> bool:
    record = entity.get(triple.subject)
    apart = triple.subject != triple.object
    return apart and record is not None and record == entity.get(triple.object)
