"""BLINK and KILT: one mention per line, with its left and right context."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from relik_training.formats.addresses import plain_title
from relik_training.formats.annotated import Mention, Record, RecordBuilder, without_triples
from relik_training.formats.conversion_report import Report
from relik_training.formats.streams import expecting, read_objects, write_objects
from relik_training.formats.tokens import is_pretokenised

_SHAPE = (
    'BLINK {"context_left", "mention", "context_right", "label_id"} or KILT {"input": '
    '"... [START_ENT] mention [END_ENT] ...", "output"}'
)
_START, _END = "[START_ENT] ", " [END_ENT]"
_UNKNOWN = ("", "unknown")
_OPENING = "([{\"'\u201c\u2018\u00ab-/@#$"


class Blink:
    """Lines of one mention each; consecutive lines with the same text are one document.

    Args:
        kilt: Write KILT's `input` and `output` instead of BLINK's three parts.
    """

    loses = "triples, types, clusters, other fields, documents without spans"

    def __init__(self, *, kilt: bool = False) -> None:
        self._kilt = kilt

    def read(self, path: Path, report: Report) -> Iterator[Record]:
        """Read BLINK or KILT; a title replaces an id that is a row number."""
        parts = (_part(where, row) for where, row in read_objects(path, report))
        for (doc_id, text), group in groupby(parts, key=lambda part: part[0]):
            builder: RecordBuilder | None = None
            for number, (_, name, mention) in enumerate(group):
                if builder is None:
                    builder = RecordBuilder(doc_id or name, text, report)
                builder.mention(number, mention)
            if builder is not None:
                yield builder.build()

    def keep(self, record: Record, report: Report) -> Record | None:
        """Drop triples, and documents without mentions."""
        record = without_triples(record, report, "blink and kilt hold no triples")
        if not record.mentions:
            report.drop("document without spans", doc_id=record.doc_id)
            return None
        if self._kilt and (_START.strip() in record.text or _END.strip() in record.text):
            report.drop("document with a marker of kilt in its text", doc_id=record.doc_id)
            return None
        return record

    def write(self, records: Iterable[Record], path: Path) -> None:
        """Write one line per mention."""
        row = _kilt_row if self._kilt else _blink_row
        write_objects(
            (
                row(record, mention, f"{record.doc_id}:{number}")
                for record in records
                for number, mention in enumerate(record.mentions)
            ),
            path,
        )


def _part(where: str, row: dict[str, Any]) -> tuple[tuple[str | None, str], str, Mention]:
    with expecting(where, _SHAPE):
        left, surface, right = _kilt_context(row) if "input" in row else _blink_context(row)
        if not surface:
            raise ValueError("the mention is empty")
        doc_id_field = row.get("doc_id")
        name = row.get("query_id", row.get("id", where.rpartition(" ")[2]))
        entity_id, extra = _entity(row)
        mention = Mention(
            start=len(left), end=len(left) + len(surface), entity_id=entity_id, extra=extra
        )
    key = (None if doc_id_field is None else str(doc_id_field), left + surface + right)
    return key, str(name), mention


def _blink_context(row: dict[str, Any]) -> tuple[str, str, str]:
    left, surface, right = row["context_left"], row["mention"], row["context_right"]
    # BLINK strips white space from the contexts; `start` shows that they are complete.
    if row.get("start") != len(left):
        # Punctuation at the cut may have lost its space: a letter keeps it from counting.
        pretokenised = is_pretokenised(f"{left}x") or is_pretokenised(f"x{right}")
        if left and not left[-1].isspace() and (pretokenised or left[-1] not in _OPENING):
            left += " "
        if (
            right
            and not right[0].isspace()
            and (pretokenised or right[0].isalnum() or right[0] == "(")
        ):
            right = f" {right}"
    return left, surface, right


def _kilt_context(row: dict[str, Any]) -> tuple[str, str, str]:
    left, started, rest = row["input"].partition(_START)
    surface, ended, right = rest.partition(_END)
    if not (started and ended):
        raise ValueError("input has no [START_ENT] mention [END_ENT]")
    return left, surface, right


def _entity(row: dict[str, Any]) -> tuple[str | None, dict[str, object]]:
    label_id, page_id = row.get("label_id"), row.get("Wikipedia_ID")
    title = row.get("Wikipedia_title") or row.get("label_title") or ""
    if "output" in row:
        answers = [each for each in row["output"] if each.get("answer")]
        title = answers[0]["answer"] if answers else ""
        label_id = answers[0].get("entity_id") if answers else None
    elif not title and not isinstance(label_id, str):
        title = row.get("label") or ""
    title = "" if title in _UNKNOWN else plain_title(str(title))
    extra: dict[str, object] = {"title": title} if title else {}
    if label_id in (-1, "-1"):
        return None, extra
    has_own_id = isinstance(label_id, str) and label_id and label_id != page_id
    return (str(label_id) if has_own_id else title or None), extra


def _blink_row(record: Record, mention: Mention, name: str) -> dict[str, object]:
    title = mention.text("title")
    return {
        "doc_id": record.doc_id,
        "query_id": name,
        "start": mention.start,
        "context_left": record.text[: mention.start],
        "mention": record.surface(mention),
        "context_right": record.text[mention.end :],
        "label_id": -1 if mention.entity_id is None else mention.entity_id,
        "label": title or mention.entity_id or "unknown",
        "label_title": title,
    }


def _kilt_row(record: Record, mention: Mention, name: str) -> dict[str, object]:
    left, right = record.text[: mention.start], record.text[mention.end :]
    title = mention.text("title")
    output = []
    if mention.entity_id is not None:
        answer = {"answer": title or mention.entity_id, "entity_id": mention.entity_id}
        output = [answer | {"provenance": [{"title": title}]} if title else answer]
    return {
        "id": name,
        "doc_id": record.doc_id,
        "input": f"{left}{_START}{record.surface(mention)}{_END}{right}",
        "output": output,
        "meta": {
            "left_context": left,
            "mention": record.surface(mention),
            "right_context": right,
        },
    }
