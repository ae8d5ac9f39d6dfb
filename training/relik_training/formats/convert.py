"""One conversion: read, link, leave out what the target cannot hold, count, write."""

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
    """What is to be converted.

    Args:
        source: File to read.
        target: File to make or replace.
        source_format: Name of its format.
        target_format: Name of its format.
        entities: File of ids by title, or None.
        strict: Make no file if anything is dropped.
    """

    source: Path
    target: Path
    source_format: str
    target_format: str
    entities: Path | None = None
    strict: bool = False


def convert(conversion: Conversion, report: Report) -> None:
    """Run a conversion; the target is there when all of it is.

    Args:
        conversion: What to convert.
        report: Filled with counts.

    Raises:
        InputError: A file or the name of a format is wrong, nothing can be kept, or something was
            dropped and `strict` is set.
        ConfigError: A format needs a package that is not installed.
    """
    source = format_named(conversion.source_format)
    target = format_named(conversion.target_format)
    if conversion.source.resolve() == conversion.target.resolve():
        raise InputError(
            f"{conversion.target}: got the file that is read, expected another: what is dropped "
            "would be lost"
        )
    ids = None if conversion.entities is None else read_entity_map(conversion.entities)
    with written_aside(conversion.target) as draft:
        passed = _Passed()
        records = _kept(source.read(conversion.source, report), ids, target, report, passed)
        try:
            target.write(records, draft)
        except UnicodeEncodeError as error:
            raise InputError(
                f"{conversion.source}: document {passed.doc_id!r} has half of a character "
                f"({error.reason}): write its text anew"
            ) from error
        _check(conversion, report, passed)


class _Passed:
    """How much was read so far."""

    def __init__(self) -> None:
        self.documents = 0
        self.doc_id = ""


def _kept(
    records: Iterator[Record],
    ids: EntityMap | None,
    target: Format,
    report: Report,
    passed: _Passed,
) -> Iterator[Record]:
    for record in records:
        passed.documents += 1
        passed.doc_id = record.doc_id
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


def _check(conversion: Conversion, report: Report, passed: _Passed) -> None:
    if not passed.documents:
        raise InputError(
            f"{conversion.source}: got no documents, expected {conversion.source_format}: give a "
            "file that has some"
        )
    if not report.documents:
        raise InputError(
            f"{conversion.source}: none of {passed.documents} documents has anything that "
            f"{conversion.target_format} holds: convert to another format"
        )
    if conversion.strict and report.dropped:
        raise InputError(
            f"{conversion.source}: {report.dropped} things cannot be written as "
            f"{conversion.target_format}, expected none with --strict: {conversion.target} was "
            "not made; correct them, or leave --strict away"
        )
