"""What `/api/relik` answers: upstream's JSON, made of annotations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel, Field

from relik.types import Annotation, EntitySpan, Span, Triple, Window
from relik.wire import SCORE_DIGITS
from relik_serve.dialects.relik_words import Words
from relik_serve.stages import Stages

NIL_LABEL = "--NME--"

SpanRow: TypeAlias = tuple[int, int, str, str]


class CandidateOut(BaseModel):
    """An entity that the reader weighed."""

    text: str = Field(description="Its name, which is the label of spans.")
    id: str = Field(description="Its id in the knowledge base.")
    metadata: dict[str, Any] = Field(description="`description` and `types`.")


class CandidatesOut(BaseModel):
    """What the reader weighed, a list for each window."""

    span: list[list[list[CandidateOut]]] = Field(
        description="One list, with a list for each window: the best entities for each mention "
        "in it, mention by mention, each once."
    )
    triplet: list[list[list[CandidateOut]]] = Field(
        description="Empty: the pipeline does not tell the relations it weighed."
    )


class WindowOut(BaseModel):
    """A window of text."""

    doc_id: int
    window_id: int
    text: str
    offset: int
    words: list[str]
    doc_topic: None
    token2char_start: dict[str, int]
    token2char_end: dict[str, int]
    char2token_start: dict[str, int]
    char2token_end: dict[str, int]


class RelikAnswer(BaseModel):
    """The answer for one text."""

    text: str
    tokens: list[str]
    spans: list[SpanRow] = Field(description="Start, end, label and text of each mention.")
    triplets: list[tuple[SpanRow, str, SpanRow, float]] = Field(
        description="Subject, label, object and confidence."
    )
    candidates: CandidatesOut
    windows: list[WindowOut] = Field(default=[], description="Only where asked for.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How an answer is written.

    Args:
        count_words: Offsets count words, not code points.
        nil: Keep mentions of nothing known.
        windows: Give the windows.
    """

    count_words: bool
    nil: bool
    windows: bool


def answer_of(
    doc_id: int,
    words: Words,
    annotation: Annotation,
    *,
    windows: Sequence[Window],
    stages: Stages,
    shape: Shape,
) -> dict[str, object]:
    """Write the answer for one text.

    Args:
        doc_id: Its position in the request.
        words: The text.
        annotation: What was found in it, with candidates.
        windows: Its windows.
        stages: Has the names of entities and relations.
        shape: How to write it.

    Returns:
        A JSON object like `RelikAnswer`.
    """
    ends = {end for triple in annotation.triples for end in (triple.subject, triple.object)}
    rows = {
        found.span: _span_row(found, words, stages=stages, count_words=shape.count_words)
        for found in annotation.spans
        if shape.nil or found.entity_id is not None or found.span in ends
    }
    answer: dict[str, object] = {
        "text": words.text,
        "tokens": words.tokens(),
        "spans": list(rows.values()),
        "triplets": [_triplet_row(triple, rows, stages) for triple in annotation.triples],
        "candidates": {
            "span": [[_candidates(window, annotation.spans, stages) for window in windows]],
            "triplet": [],
        },
    }
    if shape.windows:
        answer["windows"] = [_window_record(doc_id, window, words) for window in windows]
    return answer


def _span_row(found: EntitySpan, words: Words, *, stages: Stages, count_words: bool) -> SpanRow:
    span = found.span
    start, end = words.range_of(span) if count_words else (span.start, span.end)
    label = NIL_LABEL if found.entity_id is None else _name(found.entity_id, stages)
    return start, end, label, words.text[span.start : span.end]


def _triplet_row(
    triple: Triple, rows: dict[Span, SpanRow], stages: Stages
) -> tuple[SpanRow, str, SpanRow, float]:
    relation = stages.relation(triple.relation_id)
    label = triple.relation_id if relation is None else relation.name
    confidence = round(float(triple.score), SCORE_DIGITS)
    return rows[triple.subject], label, rows[triple.object], confidence


def _name(entity_id: str, stages: Stages) -> str:
    entity = stages.entity(entity_id)
    return entity_id if entity is None else entity.name


def _candidates(
    window: Window, spans: Sequence[EntitySpan], stages: Stages
) -> list[dict[str, object]]:
    weighed = (
        candidate.entity_id
        for found in spans
        if found.span.overlaps(window.span)
        for candidate in found.candidates
    )
    return [_document(entity_id, stages) for entity_id in dict.fromkeys(weighed)]


def _document(entity_id: str, stages: Stages) -> dict[str, object]:
    entity = stages.entity(entity_id)
    if entity is None:
        return {"text": entity_id, "id": entity_id, "metadata": {}}
    metadata = {"description": entity.description, "types": list(entity.types)}
    return {"text": entity.name, "id": entity_id, "metadata": metadata}


def _window_record(doc_id: int, window: Window, words: Words) -> dict[str, object]:
    first, last = words.range_of(window.span)
    starts, ends = words.starts[first:last], words.ends[first:last]
    return {
        "doc_id": doc_id,
        "window_id": window.index,
        "text": window.text,
        "offset": window.span.start,
        "words": words.tokens(first, last),
        "doc_topic": None,
        "token2char_start": {str(i): start for i, start in enumerate(starts)},
        "token2char_end": {str(i): end for i, end in enumerate(ends)},
        "char2token_start": {str(start): first + i for i, start in enumerate(starts)},
        "char2token_end": {str(end): first + i for i, end in enumerate(ends)},
    }
