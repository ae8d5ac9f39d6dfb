"""Answers of `/api/relik`: annotations in upstream's JSON."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from pydantic import BaseModel, Field

from relik.types import Annotation, Entity, EntitySpan, Span, Triple, Window
from relik.wire.document import SCORE_DIGITS
from relik_serve.batching.pieces import RetrievedWindow
from relik_serve.batching.pipeline_steps import Served, View
from relik_serve.dialects.relik_request import RelikRequest
from relik_serve.dialects.relik_words import Words

NIL_LABEL = "--NME--"

SpanRow: TypeAlias = tuple[int, int, str, str]


class CandidateOut(BaseModel):
    """A candidate entity or relation."""

    text: str = Field(description="Its name, which is the label in spans and triplets.")
    id: str = Field(description="Its id in the knowledge base.")
    metadata: dict[str, Any] = Field(description="`description`, and `types` of an entity.")


class CandidatesOut(BaseModel):
    """The candidates of the reader."""

    span: list[list[list[CandidateOut]]] = Field(
        description="One list, with the entities retrieved for each window, best first; empty "
        "if the server has no entities."
    )
    triplet: list[list[list[CandidateOut]]] = Field(
        description="One list, with the relations retrieved for each window, best first; empty "
        "if the server has no relations."
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
    windows: list[WindowOut] = Field(default=[], description="Only with `return_windows`.")


class Records:
    """What the knowledge bases say of ids; each is looked up once.

    Args:
        view: The knowledge that the answer is from.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._known: dict[tuple[bool, str], dict[str, Any]] = {}

    def entity(self, entity_id: str) -> dict[str, Any]:
        """Describe an entity; an unknown id is also its name.

        Returns:
            A JSON object like `CandidateOut`, not to be changed: later calls return it again.
        """
        return self._record(entity_id, related=False)

    def relation(self, relation_id: str) -> dict[str, Any]:
        """Describe a relation, as `entity` does."""
        return self._record(relation_id, related=True)

    def _record(self, record_id: str, *, related: bool) -> dict[str, Any]:
        key = related, record_id
        if key not in self._known:
            look_up = self._view.relation if related else self._view.entity
            found = look_up(record_id)
            metadata: dict[str, object] = {}
            if found is not None:
                metadata["description"] = found.description
            if isinstance(found, Entity):
                metadata["types"] = [*found.types]
            name = record_id if found is None else found.name
            self._known[key] = {"text": name, "id": record_id, "metadata": metadata}
        return self._known[key]


def answer_of(
    doc_id: int,
    words: Words,
    annotation: Annotation,
    *,
    retrieved: Sequence[RetrievedWindow],
    records: Records,
    served: Served,
    request: RelikRequest,
) -> dict[str, object]:
    """Return the answer for one text, a JSON object like `RelikAnswer`."""
    count_words = request.annotation_type == "word"
    ends = {end for triple in annotation.triples for end in (triple.subject, triple.object)}
    rows = {
        mention.span: _span_row(mention, words, records=records, count_words=count_words)
        for mention in annotation.spans
        if not request.remove_nmes or mention.entity_id is not None or mention.span in ends
    }
    found = [each.candidates for each in retrieved]
    entities = [[records.entity(one.entity_id) for one in each.entities] for each in found]
    relations = [[records.relation(one.entity_id) for one in each.relations] for each in found]
    answer: dict[str, object] = {
        "text": words.text,
        "tokens": words.tokens(),
        "spans": list(rows.values()),
        "triplets": [_triplet_row(triple, rows, records) for triple in annotation.triples],
        "candidates": {
            "span": [entities] if served.n_entities else [],
            "triplet": [relations] if served.n_relations else [],
        },
    }
    if request.return_windows:
        answer["windows"] = [_window_record(doc_id, each.window, words) for each in retrieved]
    return answer


def _span_row(found: EntitySpan, words: Words, *, records: Records, count_words: bool) -> SpanRow:
    span = found.span
    start, end = words.range_of(span) if count_words else (span.start, span.end)
    label = NIL_LABEL if found.entity_id is None else records.entity(found.entity_id)["text"]
    return start, end, label, words.text[span.start : span.end]


def _triplet_row(
    triple: Triple, rows: dict[Span, SpanRow], records: Records
) -> tuple[SpanRow, str, SpanRow, float]:
    label = records.relation(triple.relation_id)["text"]
    confidence = round(float(triple.score), SCORE_DIGITS)
    return rows[triple.subject], label, rows[triple.object], confidence


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
