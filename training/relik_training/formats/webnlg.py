"""WebNLG, in JSON (2020) or XML: texts for given triples, whose spans are found by name."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from relik.errors import InputError
from relik_training.formats.addresses import plain_title
from relik_training.formats.annotated import Mention, Record, RecordBuilder, select
from relik_training.formats.conversion_report import Report
from relik_training.formats.name_alignment import align
from relik_training.formats.streams import expecting, parse_json, read_text, to_json, written

_SHAPE = '{"entries": [{"1": {"lexicalisations": [{"lex"}], "modifiedtripleset": [...]}}]}'
_DOC_ID = "_doc_id"
# Quoted strings, numbers and dates are literals, not entities.
_LITERAL = re.compile(r'".*"(?:@\w+|\^\^\S+)?|[-+\d.,:/ ]+')
# Ids such as Q42 or prefix:name, which no text contains.
_OPAQUE = re.compile(r"[A-Z]+\d+|[\w.-]+:\S+")


class Webnlg:
    """Entries of triples with lexicalisations; each lexicalisation is a document."""

    loses = (
        "offsets (a span is the first match of its name), spans and documents without a triple, "
        "types, clusters, other fields"
    )

    def read(self, path: Path, report: Report) -> Iterator[Record]:
        """Read JSON or XML; drop subjects and objects that are not found in the text."""
        text = read_text(path, report)
        entries = _xml_entries if text.lstrip().startswith("<") else _json_entries
        for number, (where, entry) in enumerate(entries(text, path), start=1):
            with expecting(where, _SHAPE):
                records = list(_records(entry, str(number), report))
            yield from records

    def keep(self, record: Record, report: Report) -> Record | None:
        """Drop mentions without a triple, and documents without triples."""
        used = {i for subject, _, object_ in record.triples for i in (subject, object_)}
        kept = [i in used for i in range(len(record.mentions))]
        for mention, is_kept in zip(record.mentions, kept, strict=True):
            if not is_kept:
                report.drop("span without a triple", doc_id=record.doc_id, span=mention.span)
        if not used:
            report.drop("document without triples", doc_id=record.doc_id)
            return None
        return select(record, kept, report)

    def write(self, records: Iterable[Record], path: Path) -> None:
        """Write the JSON of 2020, one entry per document."""
        with written(path) as out:
            out.write(b'{"entries":[')
            for number, record in enumerate(records, start=1):
                out.write(
                    (b",\n" if number > 1 else b"\n")
                    + to_json({str(number): _entry(record, number)})
                )
            out.write(b"\n]}\n")


def _json_entries(text: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    whole = parse_json(text, path)
    with expecting(str(path), _SHAPE):
        entries = list(whole["entries"])
    for number, entry in enumerate(entries, start=1):
        where = f"{path}, entry {number}"
        with expecting(where, _SHAPE):
            content = entry if "modifiedtripleset" in entry else next(iter(entry.values()))
            triples = [
                (each["subject"], each["property"], each["object"])
                for each in content["modifiedtripleset"]
            ]
            found = {**content, "triples": triples}
        yield where, found


def _xml_entries(text: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if "<!DOCTYPE" in text:
        raise InputError(f"{path}: got a document type, expected XML without one: remove it")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  # without a document type no entities
    except ElementTree.ParseError as error:
        raise InputError(
            f"{path}, line {error.position[0]}: is not XML ({error}): give WebNLG XML or JSON"
        ) from error
    for number, entry in enumerate(root.iter("entry"), start=1):
        where = f"{path}, entry {number}"
        with expecting(where, "subject | property | object"):
            triples = []
            for row in entry.iterfind("modifiedtripleset/mtriple"):
                subject, relation, object_ = (
                    part.strip() for part in (row.text or "").split(" | ")
                )
                triples.append((subject, relation, object_))
        lexicalisations = [
            {
                "lex": (lex.text or "").strip(),
                "xml_id": lex.get("lid", ""),
                "lang": lex.get("lang", ""),
            }
            for lex in entry.iterfind("lex")
        ]
        found = {"xml_id": entry.get("eid", ""), "triples": triples}
        for name in ("category", "size"):
            found[name] = entry.get(name, "")
        yield where, {**found, "lexicalisations": lexicalisations}


def _records(entry: dict[str, Any], fallback_id: str, report: Report) -> Iterator[Record]:
    category, size = str(entry.get("category", "")), str(entry.get("size", ""))
    name = entry.get(_DOC_ID) or f"{category}:{size}:{entry.get('xml_id', fallback_id)}"
    for lexicalisation in entry["lexicalisations"]:
        text = lexicalisation["lex"]
        entity_id = "" if _DOC_ID in entry else f":{lexicalisation.get('xml_id', '')}"
        builder = RecordBuilder(f"{name}{entity_id}", text, report)
        names = [end for s, _, o in entry["triples"] for end in (s, o)]
        for found, span in align(text, names).items():
            if span is None:
                builder.drop("subject or object is not in the text")
                continue
            mention = Mention(start=span[0], end=span[1])
            if not _LITERAL.fullmatch(found):
                title = plain_title(found)
                mention = replace(mention, entity_id=title, extra={"title": title})
            builder.mention(found, mention)
        for subject, relation, object_ in entry["triples"]:
            builder.triple(subject, relation, object_)
        fields = {"category": category, "lang": lexicalisation.get("lang", "")}
        yield builder.build({key: value for key, value in fields.items() if value})


def _entry(record: Record, number: int) -> dict[str, object]:
    names = [_name(record, mention) for mention in record.mentions]
    triples = [
        {"subject": names[subject], "property": relation, "object": names[object_]}
        for subject, relation, object_ in record.triples
    ]
    category = record.fields.get("category")
    return {
        "category": category if isinstance(category, str) else "",
        "lexicalisations": [{"comment": "good", "lang": "", "lex": record.text, "xml_id": "Id1"}],
        "modifiedtripleset": triples,
        "originaltriplesets": {"originaltripleset": [triples]},
        "size": str(len(triples)),
        "xml_id": f"Id{number}",
        _DOC_ID: record.doc_id,
    }


def _name(record: Record, mention: Mention) -> str:
    entity_id = (
        mention.entity_id if mention.entity_id and not _OPAQUE.fullmatch(mention.entity_id) else ""
    )
    return (mention.text("title") or entity_id or record.surface(mention)).replace(" ", "_")
