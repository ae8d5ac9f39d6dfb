"""The conversion of a data set: read, link, drop what the target cannot represent, write."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from relik.errors import InputError
from relik_training.formats.annotated import Format, Record
from relik_training.formats.conversion_report import Report
from relik_training.formats.streams import written_aside
from relik_training.formats.table import format_named
from relik_training.formats.titles import EntityMap, read_entity_map


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """Source, target and options of a conversion.

    Args:
        target: File to create or replace.
        entities: File of entity ids by Wikipedia title; None to keep the ids of the source.
        strict: Write no file if anything is dropped.
    """

    source: Path
    target: Path
    source_format: str
    target_format: str
    entities: Path | None = None
    strict: bool = False


def convert(conversion: Conversion, report: Report) -> None:
    """Run a conversion; the target appears when it is complete.

    Raises:
        InputError: A file or the name of a format is wrong, no document is left, or something was
            dropped and `strict` is set.
        ConfigError: A format needs a package that is not installed.
    """
    source = format_named(conversion.source_format)
    target = format_named(conversion.target_format)
    if conversion.source.resolve() == conversion.target.resolve():
        raise InputError(
            f"{conversion.target}: got the file that is read, expected another: give a new file "
            "name"
        )
    ids = None if conversion.entities is None else read_entity_map(conversion.entities)
    with written_aside(conversion.target) as draft:
        position = _Position()
        records = _kept(source.read(conversion.source, report), ids, target, report, position)
        try:
            target.write(records, draft)
        except UnicodeEncodeError as error:
            raise InputError(
                f"{conversion.source}: got half of a surrogate pair in document "
                f"{position.doc_id!r} ({error.reason}), expected Unicode text: correct it"
            ) from error
        _check(conversion, report, position)


class _Position:
    """Number of documents read so far, and the id of the last."""

    def __init__(self) -> None:
        self.documents = 0
        self.doc_id = ""


def _kept(
    records: Iterator[Record],
    ids: EntityMap | None,
    target: Format,
    report: Report,
    position: _Position,
) -> Iterator[Record]:
    for record in records:
        position.documents += 1
        position.doc_id = record.doc_id
        linked = record if ids is None else ids.link(record, report)
        kept = target.keep(linked, report)
        if kept is None:
            continue
        report.count(
            spans=len(kept.mentions),
            linked=sum(mention.entity_id is not None for mention in kept.mentions),
            triples=len(kept.triples),
        )
        yield kept


def _check(conversion: Conversion, report: Report, position: _Position) -> None:
    if not position.documents:
        raise InputError(
            f"{conversion.source}: got no documents, expected one or more in the format "
            f"{conversion.source_format}: give another file"
        )
    if not report.documents:
        raise InputError(
            f"{conversion.source}: none of {position.documents} documents has anything that "
            f"{conversion.target_format} can represent: convert to another format"
        )
    if conversion.strict and report.dropped:
        raise InputError(
            f"{conversion.source}: got {report.dropped} annotations that "
            f"{conversion.target_format} cannot represent, expected none with --strict: correct "
            f"them, or leave --strict out; {conversion.target} was not written"
        )
