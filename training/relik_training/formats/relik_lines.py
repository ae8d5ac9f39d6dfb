"""ReLiK JSON Lines, the native format: texts, spans in code points, triples between spans."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from relik_training.formats.annotated import Mention, Record, RecordBuilder
from relik_training.formats.conversion_report import Report
from relik_training.formats.streams import expecting, read_objects, write_objects

_SHAPE = '{"doc_id", "text", "spans": [[start, end, id or null, surface, {...}?]], "triples"?}'
_OWN = ("doc_id", "text", "spans", "triples", "clusters")


class Relik:
    """Lines of `{"doc_id", "text", "spans", "triples", "clusters"?}`; other fields are kept."""

    loses = ""

    def read(self, path: Path, report: Report) -> Iterator[Record]:
        """Read documents; drop spans whose surface form is not at their offsets."""
        for number, (where, row) in enumerate(read_objects(path, report)):
            with expecting(where, _SHAPE):
                record = _record(row, str(number), report)
            yield record

    def keep(self, record: Record, report: Report) -> Record | None:
        """Keep everything."""
        return record

    def write(self, records: Iterable[Record], path: Path) -> None:
        """Write one line per document."""
        write_objects((_row(record) for record in records), path)


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
