"""Knowledge bases from CSV tables: read one, check it, and write it as JSON Lines."""

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
    """The columns of a table.

    Args:
        aliases: Column of aliases; None for `aliases` where the table has it.
        alias_separator: Separator of the aliases in a cell, one or more characters.
        description: Columns that are joined by ", "; empty for `description` where the table has
            it.
        delimiter: One character between cells.

    Raises:
        InputError: The delimiter or the separator is malformed.
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
                f"got the delimiter {self.delimiter!r}, expected one character: give one such as "
                "';', or tab"
            )
        if not self.alias_separator:
            raise InputError(
                "got an empty alias separator, expected one or more characters: give one such as "
                "'|'"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvReport:
    """Counts of an imported table.

    Args:
        described: Records with a description.
        shared_names: Names and aliases that several records bear, which only context can
            disambiguate.
    """

    records: int
    aliases: int
    described: int
    shared_names: int


def import_csv(source: Path, target: Path, columns: CsvColumns) -> CsvReport:
    """Write a table as JSON Lines, which `relik index build` reads.

    Args:
        source: CSV in UTF-8 whose first row names the columns.
        target: File to create or replace; it appears when it is complete.

    Raises:
        InputError: A file cannot be read or written; a column is missing; a row is malformed, has
            no id or no name, or the id of an earlier row. The message names the line.
    """
    if source.resolve() == target.resolve():
        raise InputError(
            f"{target}: got the file that is read, expected another: give a new file name"
        )
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

    Yields:
        The records, in order. Blank rows are skipped; white space in a cell becomes one space.

    Raises:
        InputError: As `import_csv`.
    """
    rows = _rows(source, columns.delimiter)
    header = next(rows, None)
    if header is None:
        raise InputError(
            f"{source}: is empty, expected a first row that names the columns: give a CSV table"
        )
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
        raise InputError(
            f"{source}: got a header and no rows, expected one or more records: add rows"
        )


@dataclass(frozen=True, slots=True)
class _Table:
    """Position of each value in a row."""

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
        position_of = {name: at for at, name in enumerate(names)}
        aliases = columns.aliases or ("aliases" if "aliases" in position_of else None)
        described = columns.description or tuple({"description"} & position_of.keys())
        return cls(
            columns=columns,
            width=len(names),
            id=_column_position(where, position_of, columns.id),
            name=_column_position(where, position_of, columns.name),
            aliases=None if aliases is None else _column_position(where, position_of, aliases),
            description=tuple(_column_position(where, position_of, name) for name in described),
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


def _column_position(where: str, position_of: Mapping[str, int], column: str) -> int:
    if column in position_of:
        return position_of[column]
    similar = get_close_matches(column, position_of, n=1)
    hint = f"did you mean {similar[0]!r}? " if similar else ""
    only = next(iter(position_of)) if len(position_of) == 1 else ""
    other = next((named for each, named in _OTHER_DELIMITERS.items() if each in only), None)
    if other is not None:
        hint = f"cells seem to be separated by {other}: give that as the delimiter; "
    raise InputError(
        f"{where}: got no column {column!r}, {hint}expected one of {', '.join(position_of)}: name "
        "the column"
    )


def _rows(source: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the number of its first line."""
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
            f"{source}, line {begins}: is not CSV ({error}): check the double quotes, and export "
            "the table as CSV again"
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
