"""ReLiK JSON Lines, the native format: texts, spans in code points, triples between spans."""

from typing import Any

from relik_training.formats.annotated import Mention, Record, RecordBuilder
from relik_training.formats.conversion_report import Report
from relik_training.formats.json_format import JsonFormat

_OWN = ("doc_id", "text", "spans", "triples", "clusters")


def _record(row: dict[str, Any], fallback_id: str, report: Report) -> Record:
    builder = RecordBuilder(str(row.get("doc_id", fallback_id)), row["text"], report)
    for index, (start, end, entity_id, surface, *rest) in enumerate(row["spans"]):
        extra = dict(rest[0]) if rest else {}
        mention = Mention(start=start, end=end, entity_id=entity_id, extra=extra)
        builder.mention(index, mention, surface)
    for subject, relation, object_ in row.get("triples", ()):
        builder.triple(subject, relation, object_)
    fields = {name: value for name, value in row.items() if name not in _OWN}
    return builder.build(fields, row.get("clusters"))


def _row(record: Record) -> dict[str, object]:
    spans = []
    for mention in record.mentions:
        span = [mention.start, mention.end, mention.entity_id, record.surface(mention)]
        spans.append([*span, dict(mention.extra)] if mention.extra else span)
    row = {
        "doc_id": record.doc_id,
        **record.fields,
        "text": record.text,
        "spans": spans,
        "triples": [list(triple) for triple in record.triples],
    }
    if record.clusters is not None:
        row["clusters"] = [list(group) for group in record.clusters]
    return row


RELIK = JsonFormat(
    loses="",
    shape='{"doc_id", "text", "spans": [[start, end, id or null, surface, {...}?]], "triples"?}',
    record=_record,
    row=_row,
)
"""Lines of `{"doc_id", "text", "spans", "triples", "clusters"?}`; other fields are kept."""
