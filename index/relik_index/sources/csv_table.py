"""Turn a table in CSV, as shops and archives keep one, into the lines of a knowledge base."""

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from relik.errors import InputError
from relik.names.normalise import normalise
from relik.types import Entity

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHER_DELIMITERS = {";": "';'", "\t": "tab", "|": "'|'"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvColumns:
    """Which columns say what.

    Args:
        id: Column of the ids.
        name: Column of the names.
        aliases: Column of other names; None takes `aliases` where there is one.
        alias_separator: What stands between two of them in a cell.
        description: Columns that are joined by ", " to the description; empty takes `description`
            where there is one.
        delimiter: What stands between two cells.
    """

    id: str = "id"
    name: str = "name"
    aliases: str | None = None
    alias_separator: str = "|"
    description: tuple[str, ...] = ()
    delimiter: str = ","

    def __post_init__(self) -> None:
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise InputError(
                f"got the delimiter {self.delimiter!r}, expected one character, such as ';', or tab"
            )
        if not self.alias_separator:
            raise InputError("got an empty alias separator, expected one or more characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvReport:
    """What was made of a table.

    Args:
        records: Rows that became records.
        aliases: Other names, all records together.
        described: Records with a description.
        shared_names: Names and other names that several records have, which only the text around
            them can tell apart.
    """

    records: int
    aliases: int
    described: int
    shared_names: int


def import_csv(source: Path, target: Path, columns: CsvColumns) -> CsvReport:
    """Write a table as lines of JSON, which `relik index build` reads.

    Args:
        source: CSV in UTF-8 whose first row names the columns.
        target: File to make or replace; it is there when all of it is.
        columns: Which columns say what.

    Returns:
        Counts.

    Raises:
        InputError: A file cannot be read or written; a column is missing; a row is malformed, has
            no id or no name, or the id of an earlier row. The message names the line.
    """
    if source.resolve() == target.resolve():
        raise InputError(f"{target}: got the file that is read, expected another to make")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    bearers: dict[str, int] = {}
    records = aliases = described = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("w", encoding="utf-8") as out:
                for entity in read_csv(source, columns):
                    out.write(_line(entity))
                    records += 1
                    aliases += len(entity.aliases)
                    described += bool(entity.description)
                    for name in {normalise(each) for each in (entity.name, *entity.aliases)}:
                        bearers[name] = bearers.get(name, 0) + 1
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{target}: cannot be written ({error.strerror or error}): give the name of a file"
        ) from error
    shared = sum(count > 1 for count in bearers.values())
    return CsvReport(records=records, aliases=aliases, described=described, shared_names=shared)


def read_csv(source: Path, columns: CsvColumns) -> Iterator[Entity]:
    """Read the records of a table.

    Args:
        source: CSV in UTF-8 whose first row names the columns.
        columns: Which columns say what.

    Yields:
        The records, in order. Blank rows are passed over, spaces and line ends in a cell become
        one space.

    Raises:
        InputError: As of `import_csv`.
    """
    rows = _rows(source, columns.delimiter)
    header = next(rows, None)
    if header is None:
        raise InputError(f"{source}: is empty, expected a first row that names the columns")
    table = _Table.of(header[1], columns, where=f"{source}, line {header[0]}")
    lines: dict[str, int] = {}
    for line, cells in rows:
        where = f"{source}, line {line}"
        entity = table.entity(cells, where)
        known = lines.setdefault(entity.entity_id, line)
        if known != line:
            raise InputError(
                f"{where}: got the {columns.id} {entity.entity_id!r} again, which line {known} "
                "has, expected each once: merge the two rows"
            )
        yield entity
    if not lines:
        raise InputError(f"{source}: has a header and no rows, expected one or more records")


@dataclass(frozen=True, slots=True)
class _Table:
    """Where in a row each value stands."""

    columns: CsvColumns
    width: int
    id: int
    name: int
    aliases: int | None
    description: tuple[int, ...]

    @classmethod
    def of(cls, header: Sequence[str], columns: CsvColumns, *, where: str) -> "_Table":
        names = [name.strip() for name in header]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(
                f"{where}: got the column {twice[0]!r} twice, expected it once: rename one"
            )
        places = {name: at for at, name in enumerate(names)}
        aliases = columns.aliases or ("aliases" if "aliases" in places else None)
        described = columns.description or tuple({"description"} & places.keys())
        return cls(
            columns=columns,
            width=len(names),
            id=_place(where, places, columns.id),
            name=_place(where, places, columns.name),
            aliases=None if aliases is None else _place(where, places, aliases),
            description=tuple(_place(where, places, name) for name in described),
        )

    def entity(self, cells: Sequence[str], where: str) -> Entity:
        if len(cells) != self.width:
            raise InputError(
                f"{where}: got {len(cells)} cells, expected {self.width} as in the header: put "
                f"cells that hold a {self.columns.delimiter!r} in double quotes"
            )
        values = [" ".join(cell.split()) for cell in cells]
        for column, at in ((self.columns.id, self.id), (self.columns.name, self.name)):
            if not values[at]:
                raise InputError(f"{where}: got an empty {column}, expected some text: fill it in")
        return Entity(
            entity_id=values[self.id],
            name=values[self.name],
            aliases=self._aliases(values),
            description=", ".join(values[at] for at in self.description if values[at]),
        )

    def _aliases(self, values: Sequence[str]) -> tuple[str, ...]:
        if self.aliases is None:
            return ()
        parts = values[self.aliases].split(self.columns.alias_separator)
        found = dict.fromkeys(part.strip() for part in parts)
        return tuple(alias for alias in found if alias and alias != values[self.name])


def _line(entity: Entity) -> str:
    record: dict[str, object] = {"id": entity.entity_id, "name": entity.name}
    if entity.aliases:
        record["aliases"] = entity.aliases
    if entity.description:
        record["description"] = entity.description
    return json.dumps(record, ensure_ascii=False) + "\n"


def _place(where: str, places: Mapping[str, int], column: str) -> int:
    if column in places:
        return places[column]
    near = get_close_matches(column, places, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    only = next(iter(places)) if len(places) == 1 else ""
    other = next((named for each, named in _OTHER_DELIMITERS.items() if each in only), None)
    if other is not None:
        hint = f"cells seem to be separated by {other}: give that as the delimiter; "
    raise InputError(
        f"{where}: got no column {column!r}, {hint}it has {', '.join(places)}: name the column"
    )


def _rows(source: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Read rows that are not blank, each with the line at which it begins."""
    begins = 1
    try:
        with source.open("rb") as file:
            reader = csv.reader(_decoded(file, source), delimiter=delimiter, strict=True)
            while True:
                begins = reader.line_num + 1
                cells = next(reader, None)
                if cells is None:
                    return
                if any(cell.strip() for cell in cells):
                    yield begins, cells
    except csv.Error as error:
        raise InputError(
            f"{source}, line {begins}: is not CSV ({error}): check the double quotes, and save the "
            "table as CSV anew"
        ) from error
    except OSError as error:
        raise InputError(
            f"{source}: cannot be read ({error.strerror or error}): give a CSV file"
        ) from error


def _decoded(lines: Iterable[bytes], source: Path) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        try:
            yield (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{source}, line {number}: is not UTF-8 ({error.reason}): save the table as CSV "
                "in UTF-8"
            ) from error
