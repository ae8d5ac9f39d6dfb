"""The JSON object of an annotated document, for the server and for `relik annotate --json`."""

from collections.abc import Callable

from relik.types import Annotation, Candidate, Entity, EntitySpan, Relation, Triple

SCORE_DIGITS = 4


def document_to_wire(
    annotation: Annotation,
    text: str,
    *,
    entity: Callable[[str], Entity | None],
    relation: Callable[[str], Relation | None],
    explain: bool = False,
) -> dict[str, object]:
    """Return the document object of an annotation.

    Names come from the knowledge base at the time of the call. A NIL span, and an id that is no
    longer in the knowledge base, get the name null.

    Returns:
        `id`, `spans`, `triples` and `coverage`, of JSON types only. `subject` and `object` of
        a triple are positions in `spans`; scores are 0..1, rounded to 4 digits.
    """
    position = {found.span: index for index, found in enumerate(annotation.spans)}
    return {
        "id": annotation.doc_id,
        "spans": [
            _span_to_wire(found, text, entity=entity, explain=explain) for found in annotation.spans
        ],
        "triples": [
            {
                "subject": position[triple.subject],
                "relation_id": triple.relation_id,
                "relation": _relation_name(triple, relation),
                "object": position[triple.object],
                "score": _rounded(triple.score),
            }
            for triple in annotation.triples
        ],
        "coverage": {
            "characters": annotation.coverage.characters,
            "windows": annotation.coverage.windows,
            "truncated": annotation.coverage.truncated,
        },
    }


def _span_to_wire(
    found: EntitySpan, text: str, *, entity: Callable[[str], Entity | None], explain: bool
) -> dict[str, object]:
    record = None if found.entity_id is None else entity(found.entity_id)
    span: dict[str, object] = {
        "start": found.span.start,
        "end": found.span.end,
        "text": text[found.span.start : found.span.end],
        "entity_id": found.entity_id,
        "name": None if record is None else record.name,
        "score": _rounded(found.score),
    }
    if explain:
        span["description"] = None if record is None else record.description
        span["candidates"] = [_candidate_to_wire(each, entity) for each in found.candidates]
    return span


def _candidate_to_wire(
    candidate: Candidate, entity: Callable[[str], Entity | None]
) -> dict[str, object]:
    record = entity(candidate.entity_id)
    return {
        "entity_id": candidate.entity_id,
        "name": None if record is None else record.name,
        "description": None if record is None else record.description,
        "score": _rounded(candidate.score),
        "rank": candidate.rank,
        "source": candidate.source,
    }


def _relation_name(triple: Triple, relation: Callable[[str], Relation | None]) -> str | None:
    record = relation(triple.relation_id)
    return None if record is None else record.name


def _rounded(score: float) -> float:
    return round(float(score), SCORE_DIGITS)
