"""Formats with one JSON object for each document."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relik_training.formats.annotated import Record
from relik_training.formats.conversion_report import Report
from relik_training.formats.streams import expecting, read_objects, write_array, write_objects


def keep_all(record: Record, _report: Report) -> Record:
    """Keep all of a document."""
    return record


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonFormat:
    """A format with one JSON object for each document; a `Format`.

    Args:
        loses: As `Format.loses`.
        shape: Shape of an object, for messages.
        record: Builds a document from an object, with an id for those that have none.
        row: Returns the object of a document.
        kept: As `Format.keep`.
        array: Writes one JSON array instead of one object per line; both can be read.
    """

    loses: str
    shape: str
    record: Callable[[dict[str, Any], str, Report], Record]
    row: Callable[[Record], dict[str, object]]
    kept: Callable[[Record, Report], Record | None] = keep_all
    array: bool = False

    def read(self, path: Path, report: Report) -> Iterator[Record]:
        """Read documents in the order of the file."""
        for number, (where, row) in enumerate(read_objects(path, report)):
            with expecting(where, self.shape):
                record = self.record(row, str(number), report)
            yield record

    def keep(self, record: Record, report: Report) -> Record | None:
        """Drop what this format cannot represent; None if nothing is left."""
        return self.kept(record, report)

    def write(self, records: Iterable[Record], path: Path) -> None:
        """Write documents."""
        (write_array if self.array else write_objects)(map(self.row, records), path)
