"""NYT JSON Lines: mentions without offsets, and the variant of CopyRE and CasRel."""

import re
from typing import Any

from relik_training.formats.annotated import Mention, Record, RecordBuilder
from relik_training.formats.conversion_report import Report
from relik_training.formats.json_format import JsonFormat
from relik_training.formats.spert import UNTYPED

_NO_RELATION = ("None", "NA")


def _record(row: dict[str, Any], fallback_id: str, report: Report) -> Record:
    if "triple_list" in row:
        triples = [tuple(triple) for triple in row["triple_list"]]
        text, types = row["text"], {}
    else:
        text = row["sentText"]
        types = {each["text"]: each["label"] for each in row.get("entityMentions", ())}
        triples = [
            (each["em1Text"], each["label"], each["em2Text"]) for each in row["relationMentions"]
        ]
    name = ":".join(str(row[key]) for key in ("articleId", "sentId") if row.get(key))
    builder = RecordBuilder(str(row.get("doc_id") or name or fallback_id), text, report)
    for surface in dict.fromkeys([*types, *(end for s, _, o in triples for end in (s, o))]):
        start = first_match(text, surface)
        if start < 0:
            builder.drop("text of a span is not in the sentence")
            continue
        kind = types.get(surface)
        extra = {"type": str(kind)} if kind else {}
        builder.mention(surface, Mention(start=start, end=start + len(surface), extra=extra))
    for subject, relation, object_ in triples:
        if relation in _NO_RELATION:
            report.note("pairs labelled as without a relation, left out")
        else:
            builder.triple(subject, relation, object_)
    report.note("documents whose spans are first string matches")
    return builder.build()


def first_match(text: str, surface: str) -> int:
    """Return the start of the first match, as whole words if there is one; -1 without a match."""
    if not surface:
        return -1
    surfaces = re.search(rf"(?<!\w){re.escape(surface)}(?!\w)", text)
    return surfaces.start() if surfaces else text.find(surface)


def _noted(record: Record, report: Report) -> Record:
    """Keep everything; mentions with the same surface form become one when written."""
    surfaces = {record.surface(mention) for mention in record.mentions}
    for _ in range(len(record.mentions) - len(surfaces)):
        report.note("spans that share their text with another, written once")
    return record


def _row(record: Record) -> dict[str, object]:
    types: dict[str, str] = {}
    for mention in record.mentions:
        types.setdefault(record.surface(mention), mention.text("type", UNTYPED))
    surfaces = [record.surface(mention) for mention in record.mentions]
    return {
        "doc_id": record.doc_id,
        "sentText": record.text,
        "entityMentions": [
            {"start": number, "text": surface, "label": kind}
            for number, (surface, kind) in enumerate(types.items())
        ],
        "relationMentions": [
            {"em1Text": surfaces[subject], "em2Text": surfaces[object_], "label": relation}
            for subject, relation, object_ in record.triples
        ],
    }


NYT = JsonFormat(
    loses="ids, offsets (a span is the first match of its text), clusters, other fields",
    shape=(
        '{"sentText", "entityMentions": [{"text", "label"}], "relationMentions": '
        '[{"em1Text", "em2Text", "label"}]} or '
        '{"text", "triple_list": [[subject, relation, object]]}'
    ),
    record=_record,
    row=_row,
    kept=_noted,
)
"""Lines of `sentText`, `entityMentions` and `relationMentions`."""
