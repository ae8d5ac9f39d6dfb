"""AIDA CoNLL-YAGO: one token per line, B and I tags, and the Wikipedia page of each mention."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from relik.errors import InputError
from relik_training.formats.addresses import from_yago, plain_title, to_yago
from relik_training.formats.annotated import (
    Mention,
    Record,
    RecordBuilder,
    without_overlaps,
    without_triples,
)
from relik_training.formats.conversion_report import Report
from relik_training.formats.streams import read_lines, written
from relik_training.formats.tokens import cut, in_tokens, join, sentences

_START = "-DOCSTART- "
_NO_ENTITY = "--NME--"
_PAGES = "http://en.wikipedia.org/wiki/"
_SPLIT = re.compile(r"\d+(testa|testb)? ")


class Aida:
    """Tab-separated lines: token, B or I, mention, YAGO entity, Wikipedia URL, page id, mid."""

    loses = (
        "triples, types, overlapping spans, clusters, other fields, spacing between tokens; a span "
        "with a title is written with the title, not with its id"
    )

    def read(self, path: Path, report: Report) -> Iterator[Record]:
        """Read documents; the id of a mention is the title of its page.

        The field `split` is train, testa or testb, by the name of the document.
        """
        doc_id: str | None = None
        lines: list[list[list[str]]] = []
        for where, raw in read_lines(path, report):
            line = raw.rstrip("\r\n")
            if line.startswith(_START):
                if doc_id is not None:
                    yield _record(doc_id, lines, report)
                doc_id, lines = line.removeprefix(_START).strip(), [[]]
                doc_id = doc_id[1:-1] if doc_id[:1] == "(" and doc_id[-1:] == ")" else doc_id
            elif not line.strip():
                lines.append([])
            elif doc_id is None:
                raise InputError(
                    f"{where}: got {line[:40]!r}, expected a line -DOCSTART- (id): give AIDA "
                    "CoNLL-YAGO TSV"
                )
            else:
                lines[-1].append(_columns(line, where))
        if doc_id is not None:
            yield _record(doc_id, lines, report)

    def keep(self, record: Record, report: Report) -> Record | None:
        """Drop triples, and all but the longest of overlapping mentions."""
        kept = in_tokens(without_triples(record, report, "aida holds no triples"), report)
        return None if kept is None else without_overlaps(kept, report)

    def write(self, records: Iterable[Record], path: Path) -> None:
        """Write tokens; each line of the text is a sentence."""
        with written(path) as out:
            for number, record in enumerate(records):
                name = " ".join(record.doc_id.split())
                between = "\n" if number else ""
                out.write(f"{between}{_START}({name})\n".encode())
                for line in _lines(record):
                    out.write(f"{line}\n".encode())


def _columns(line: str, where: str) -> list[str]:
    columns = line.split("\t")
    if len(columns) > 1 and (columns[1] not in ("B", "I") or len(columns) < 4):
        raise InputError(
            f"{where}: got {len(columns)} columns, the second {columns[1]!r}, expected a token, or "
            "token, B or I, mention, entity: give AIDA CoNLL-YAGO TSV"
        )
    return columns


def _record(doc_id: str, lines: list[list[list[str]]], report: Report) -> Record:
    rows = [sentence for sentence in lines if sentence]
    text, tokens = join([[columns[0] for columns in sentence] for sentence in rows])
    builder = RecordBuilder(doc_id, text, report)
    flat = [(columns, i == 0) for sentence in rows for i, columns in enumerate(sentence)]
    at = 0
    while at < len(flat):
        first = at
        at += 1
        if len(flat[first][0]) == 1:
            continue
        while at < len(flat) and flat[at][0][1:2] == ["I"] and not flat[at][1]:
            at += 1
        start, end = tokens.offsets[first][0], tokens.offsets[at - 1][1]
        builder.mention(first, _mention(start, end, flat[first][0]))
    split = _SPLIT.match(doc_id)
    return builder.build({"split": split.group(1) or "train"} if split else None)


def _mention(start: int, end: int, columns: list[str]) -> Mention:
    mention = Mention(start=start, end=end)
    entity, address, page_id, mid = (*columns[3:7], "", "", "")[:4]
    if entity == _NO_ENTITY:
        return mention
    extra = {"title": plain_title(address), "page_id": page_id, "mid": mid}
    known: dict[str, object] = {name: value for name, value in extra.items() if value}
    return replace(mention, entity_id=extra["title"] or from_yago(entity), extra=known)


def _lines(record: Record) -> Iterator[str]:
    tokens = cut(record)
    tags: dict[int, str] = {}
    spans = []
    for mention in record.mentions:
        first, end = tokens.span(mention.start, mention.end)
        spans.append((first, end))
        columns = "\t".join(_entity_columns(mention))
        surface = " ".join(tokens.texts[first:end])
        for index in range(first, end):
            tags[index] = f"\t{'B' if index == first else 'I'}\t{surface}\t{columns}"
    for number, (first, end) in enumerate(sentences(record.text, tokens, spans)):
        if number:
            yield ""
        for index in range(first, end):
            yield tokens.texts[index] + tags.get(index, "")


def _entity_columns(mention: Mention) -> list[str]:
    title = mention.text("title")
    if title:
        name = title.replace(" ", "_")
        page = [_PAGES + quote(name, safe="/:(),'!*"), mention.text("page_id")]
        mid = mention.text("mid")
        return [to_yago(name), *page, mid] if mid else [to_yago(name), *page]
    return [_NO_ENTITY if mention.entity_id is None else to_yago(mention.entity_id)]
