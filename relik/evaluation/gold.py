"""Gold documents: texts with annotated mentions and triples, and the JSON Lines they come from."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO, cast

from relik.errors import InputError
from relik.types import Document, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldMention:
    """A mention with its entity id, or None where the annotator gave none."""

    span: Span
    entity_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldTriple:
    """A relation between two mentions of `GoldDocument.mentions`."""

    subject: GoldMention
    relation_id: str
    object: GoldMention


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldDocument:
    """A document with its mentions, which may overlap, and triples, in the order of the file."""

    document: Document
    mentions: tuple[GoldMention, ...]
    triples: tuple[GoldTriple, ...]


def read_gold(path: Path, *, limit: int | None = None, typed: bool = False) -> list[GoldDocument]:
    """Read gold documents from JSON Lines, with gzip where the name ends in `.gz`.

    A line has `text`, `spans` of `[start, end, id or null, surface, ...]`, and optionally `doc_id`
    and `triples` of `[subject span index, relation id, object span index]`. Offsets count code
    points and are checked against the surface.

    Args:
        limit: Most documents to read; None reads all.
        typed: Use the type of a span, `{"type": ...}` after its surface, as its id.

    Raises:
        InputError: The file cannot be read, or a line has another shape.
    """
    return list(islice(read_gold_lines(path, typed=typed), limit))


def read_gold_lines(path: Path, *, typed: bool = False) -> Iterator[GoldDocument]:
    """Read gold documents one by one; see `read_gold`.

    Raises:
        InputError: The file cannot be read, or a line has another shape.
    """
    for number, (where, record) in enumerate(read_json_lines(path)):
        try:
            document = _parse_document(record, f"{number}", typed=typed)
        except (KeyError, TypeError, ValueError, IndexError, InputError) as error:
            raise InputError(
                f"{where}: is not a gold document ({type(error).__name__}: {error}), expected "
                '{"text", "spans": [[start, end, id or null, surface]], "triples"?}: '
                "correct the line"
            ) from error
        yield document


def read_json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Read JSON Lines, with gzip where the name ends in `.gz`, and skip blank lines.

    Yields:
        File and line number for error messages, and the object of the line.

    Raises:
        InputError: The file cannot be read, or a line is not a JSON object.
    """
    try:
        with _open_text(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    where = f"{path}, line {number}"
                    yield where, _parse_object(line, where)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}), expected UTF-8 with one JSON object per line: "
            "check the path and the encoding"
        ) from error


def _open_text(path: Path) -> TextIO:
    if path.name.endswith(".gz"):
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8"))
    return path.open(encoding="utf-8")


def _parse_object(line: str, where: str) -> Mapping[str, object]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: is not JSON ({error}): correct the line") from error
    if not isinstance(record, dict):
        raise InputError(
            f"{where}: got a {type(record).__name__}, expected a JSON object: correct the line"
        )
    return record


def _parse_document(record: Mapping[str, object], fallback_id: str, *, typed: bool) -> GoldDocument:
    text = record["text"]
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}, not a string")
    rows = _parse_rows(record["spans"], "spans")
    mentions = tuple(_parse_mention(_type_as_id(row) if typed else row, text) for row in rows)
    triples = tuple(
        _parse_triple(row, mentions) for row in _parse_rows(record.get("triples", []), "triples")
    )
    return GoldDocument(
        document=Document(doc_id=str(record.get("doc_id", fallback_id)), text=text),
        mentions=mentions,
        triples=triples,
    )


def _parse_rows(value: object, name: str) -> list[list[object]]:
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise TypeError(f"{name} is not a list of lists")
    return value


def _type_as_id(row: list[object]) -> list[object]:
    about = row[4] if len(row) > 4 else None
    if not isinstance(about, dict) or not isinstance(about.get("type"), str):
        raise ValueError(f'span {row[:4]} has no type: write {{"type": ...}} after its surface')
    return [*row[:2], about["type"], row[3]]


def _parse_mention(row: list[object], text: str) -> GoldMention:
    start, end, entity_id, surface = row[:4]
    if not (isinstance(start, int) and isinstance(end, int)):
        raise TypeError(f"span {row[:2]} is not two whole numbers")
    if not (entity_id is None or isinstance(entity_id, str)):
        raise TypeError(f"id {entity_id!r} is neither a string nor null")
    span = Span(start, end)
    if text[start:end] != surface:
        raise ValueError(f"text[{start}:{end}] is {text[start:end]!r}, not {surface!r}")
    return GoldMention(span=span, entity_id=entity_id)


def _parse_triple(row: list[object], mentions: tuple[GoldMention, ...]) -> GoldTriple:
    subject, relation_id, object_ = row
    if not isinstance(relation_id, str):
        raise TypeError(f"relation {relation_id!r} is not a string")
    return GoldTriple(
        subject=_mention_at(subject, mentions),
        relation_id=relation_id,
        object=_mention_at(object_, mentions),
    )


def _mention_at(index: object, mentions: tuple[GoldMention, ...]) -> GoldMention:
    if not isinstance(index, int) or not 0 <= index < len(mentions):
        raise ValueError(f"a triple points at span {index!r} of {len(mentions)}")
    return mentions[index]
