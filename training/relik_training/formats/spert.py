"""SpERT JSON, in which SpERT distributes CoNLL04 and SciERC: tokens, typed entities, relations."""

from typing import Any

from relik_training.formats.annotated import Mention, Record, RecordBuilder
from relik_training.formats.conversion_report import Report
from relik_training.formats.json_format import JsonFormat
from relik_training.formats.tokens import TEXT_KEY, cut, in_tokens, join

UNTYPED = "Entity"
"""Type that is written for mentions without a type."""


def _record(row: dict[str, Any], fallback_id: str, report: Report) -> Record:
    text, tokens = join([row["tokens"]], row.get(TEXT_KEY))
    builder = RecordBuilder(str(row.get("orig_id", fallback_id)), text, report)
    for index, entity in enumerate(row["entities"]):
        first, end = entity["start"], entity["end"]
        if not 0 <= first < end <= len(tokens.texts):
            builder.drop("span outside the tokens", (first, end))
            continue
        start, stop = tokens.offsets[first][0], tokens.offsets[end - 1][1]
        mention = Mention(start=start, end=stop, extra={"type": str(entity["type"])})
        builder.mention(index, mention)
    for relation in row.get("relations", ()):
        builder.triple(relation["head"], relation["type"], relation["tail"])
    return builder.build()


def _row(record: Record) -> dict[str, object]:
    tokens = cut(record)
    entities = []
    for mention in record.mentions:
        first, end = tokens.span(mention.start, mention.end)
        entities.append({"type": mention.text("type", UNTYPED), "start": first, "end": end})
    return {
        "tokens": list(tokens.texts),
        "entities": entities,
        "relations": [
            {"type": relation, "head": subject, "tail": object_}
            for subject, relation, object_ in record.triples
        ],
        "orig_id": record.doc_id,
        TEXT_KEY: record.text,
    }


SPERT = JsonFormat(
    loses="ids, clusters, other fields; spans without a type get the type Entity",
    shape=(
        '{"tokens", "entities": [{"type", "start", "end"}], '
        '"relations": [{"type", "head", "tail"}]}'
    ),
    record=_record,
    row=_row,
    kept=in_tokens,
    array=True,
)
"""One JSON array; offsets count tokens, and the end is exclusive."""
