"""Doccano JSON Lines: texts with labelled spans, and relations between them."""

from typing import Any

from relik_training.formats.annotated import Mention, Record, RecordBuilder
from relik_training.formats.conversion_report import Report
from relik_training.formats.json_format import JsonFormat
from relik_training.formats.spert import UNTYPED

# Doccano stores unknown fields such as this one, and exports them again.
_IDS = "entity_ids"


def _record(row: dict[str, Any], fallback_id: str, report: Report) -> Record:
    doc_id = str(row.get("doc_id", row.get("id", fallback_id)))
    builder = RecordBuilder(doc_id, row["text"], report)
    if "entities" in row:
        ids: dict[tuple[int, int], list[str | None]] = {}
        for start, end, entity_id in row.get(_IDS, ()):
            ids.setdefault((start, end), []).append(entity_id)
        for entity in row["entities"]:
            span = (entity["start_offset"], entity["end_offset"])
            mention = Mention(
                start=span[0],
                end=span[1],
                entity_id=ids[span].pop(0) if ids.get(span) else None,
                extra={"type": str(entity["label"])},
            )
            builder.mention(entity["id"], mention)
        for relation in row.get("relations", ()):
            builder.triple(relation["from_id"], relation["type"], relation["to_id"])
    else:
        labels = row["labels"] if "labels" in row else row["label"]
        for number, (start, end, label) in enumerate(labels):
            builder.mention(number, Mention(start=start, end=end, extra={"type": str(label)}))
    return builder.build()


def _row(record: Record) -> dict[str, object]:
    return {
        "doc_id": record.doc_id,
        "text": record.text,
        "entities": [
            {
                "id": number,
                "start_offset": mention.start,
                "end_offset": mention.end,
                "label": mention.text("type", UNTYPED),
            }
            for number, mention in enumerate(record.mentions)
        ],
        "relations": [
            {"id": number, "from_id": subject, "to_id": object_, "type": relation}
            for number, (subject, relation, object_) in enumerate(record.triples)
        ],
        _IDS: [[mention.start, mention.end, mention.entity_id] for mention in record.mentions],
    }


DOCCANO = JsonFormat(
    loses=(
        "clusters, other fields; spans without a type get the label Entity; an id is lost if an "
        "annotator moves its span"
    ),
    shape=(
        '{"text", "label": [[start, end, label]]} or {"text", "entities": [{"id", "start_offset", '
        '"end_offset", "label"}], "relations": [{"from_id", "to_id", "type"}]}'
    ),
    record=_record,
    row=_row,
)
"""Lines of documents; offsets count code points, unless the project counts graphemes."""
