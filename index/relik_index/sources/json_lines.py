"""Knowledge bases as lines of JSON: read one by one, checked where they enter."""

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from relik.errors import InputError
from relik.names.normalise import is_cased, normalise
from relik.names.trie import CASED, MAX_COUNT, PARTIAL, PRIMARY, NameMatch
from relik.types import Entity

# A pair of surrogates, or what is none; a half alone is no character.
_ESCAPES = re.compile(
    r"\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}|\\u(?![Dd][89A-Fa-f])[0-9A-Fa-f]{4}"
)

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Lower-case uses of a name that is else written with a capital, beyond which they are no slips.
_LOWER_CASE_SHARE = 0.05


def unescaped(text: str) -> str:
    r"""Put characters in the place of what is left of their escapes.

    Args:
        text: A name or a description, such as `Pok\u00E9mon` in twelve characters.

    Returns:
        The same with the characters that are meant; halves of surrogate pairs stay as they are.
    """
    return _ESCAPES.sub(_meant, text) if "\\u" in text else text


def _meant(escape: re.Match[str]) -> str:
    return bytes.fromhex(escape.group().replace("\\u", "")).decode("utf-16-be")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """One line of a knowledge base.

    Args:
        entity: What is kept of it as a record.
        surfaces: Further surface forms, with how often each meant this record.
        partials: Parts of its names, such as a surname.
        known: Count and flags by normalised name, from another knowledge base.
        known_count: How often it is meant there.
        position: Bytes of the file, as stored, read so far.
    """

    entity: Entity
    surfaces: Mapping[str, int] = field(default_factory=dict)
    partials: tuple[str, ...] = ()
    known: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    known_count: int = 0
    position: int = 0

    @property
    def count(self) -> int:
        """How often the surface forms meant this record, capped at 32 bits."""
        return min(sum(self.surfaces.values()) + self.known_count, 0xFFFFFFFF)


def read_source(path: Path) -> Iterator[SourceRecord]:
    """Read a knowledge base line by line.

    Args:
        path: JSON Lines, plain or gzipped: `{"id", "name", "aliases"?, "description"?, "types"?,
            "surfaces"?, "partials"?}`. Other keys are ignored, as are empty lines. Names and
            descriptions that were escaped twice are put right (`relik_index.sources.json_lines`).

    Yields:
        The records, in order.

    Raises:
        InputError: The file cannot be read or has no records; a line is not UTF-8, not JSON, has
            no id or no name, has a value of a wrong type, or an id that an earlier line has. The
            message names the line.
    """
    seen: set[str] = set()
    number = 0
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            lines = io.BufferedReader(gzip.GzipFile(fileobj=file)) if packed else file
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                record = _parsed(line, number, where=f"{path}, line {number}", at=file.tell())
                if record.entity.entity_id in seen:
                    raise InputError(
                        f"{path}, line {number}: got the id {record.entity.entity_id!r} again, "
                        "expected each id once: merge the two lines"
                    )
                seen.add(record.entity.entity_id)
                yield record
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}, line {number + 1}: cannot be unpacked ({error}): compress it again"
        ) from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}): give a file of JSON Lines"
        ) from error
    if not seen:
        raise InputError(f"{path}: got no records, expected one or more: give JSON Lines")


def name_matches(record: SourceRecord, *, row: int, any_case: bool = False) -> dict[str, NameMatch]:
    """Collect the normalised names of a record.

    A name that is a full name by one reading is not flagged as partial by another. It is
    flagged as cased where its lower-case form is neither its name, nor an alias, nor common.

    Args:
        record: The record.
        row: Its row.
        any_case: Flag whole names as not cased, however they are written, and add those that are
            turned round at a comma, as lists have them for the sake of order.

    Returns:
        What the name trie keeps for each key; names without a letter or digit are left out.
    """
    entity = record.entity
    surfaces = (entity.name, *entity.aliases, *record.partials, *record.surfaces)
    keys = {surface: normalise(surface) for surface in surfaces}
    full = {keys[surface] for surface in (entity.name, *entity.aliases, *record.surfaces)}
    listed = (entity.name, *entity.aliases, *record.partials)
    lower = {keys[surface] for surface in listed if not is_cased(surface)}
    counts = dict.fromkeys(keys.values(), 0)
    lower_counts = dict.fromkeys(keys.values(), 0)
    for surface, count in record.surfaces.items():
        counts[keys[surface]] += count
        if not is_cased(surface):
            lower_counts[keys[surface]] += count
    matches: dict[str, NameMatch] = {}
    for key, count in counts.items():
        common = 0 < lower_counts[key] >= _LOWER_CASE_SHARE * count
        cased = not (key in lower or common)
        flags = CASED * cased + PARTIAL * (key not in full) + PRIMARY * (key == keys[entity.name])
        if key:
            matches[key] = NameMatch(row, min(count, MAX_COUNT), flags)
    for key, (count, flags) in record.known.items():
        held = matches.get(key)
        if held is None:
            matches[key] = NameMatch(row, count, flags)
        elif count:
            # How the name is written in text counts for more than how a list has it.
            kept = held.flags & PRIMARY | flags & CASED | held.flags & flags & PARTIAL
            matches[key] = NameMatch(row, min(held.count + count, MAX_COUNT), kept)
    return _as_terms(matches, entity, row) if any_case else matches


def _as_terms(matches: dict[str, NameMatch], entity: Entity, row: int) -> dict[str, NameMatch]:
    """Let whole names be found in any case, and add those that are turned round."""
    turned = (normalise(_turned(surface)) for surface in (entity.name, *entity.aliases))
    whole = {key: NameMatch(row, 0, 0) for key in turned if key}
    return whole | {
        key: match if match.flags & PARTIAL else match._replace(flags=match.flags & ~CASED)
        for key, match in matches.items()
    }


def _turned(surface: str) -> str:
    """Give a term as text has it that a list has turned round: Carcinoma, Basal Cell."""
    head, comma, rest = surface.partition(", ")
    return f"{rest} {head}" if comma and rest[:1].isalpha() and "," not in rest else ""


def _parsed(line: bytes, number: int, *, where: str, at: int) -> SourceRecord:
    try:
        # Only the very beginning of a file may carry a byte order mark.
        text = (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: is not UTF-8 ({error.reason}): convert the file") from error
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is not JSON ({error}): give one object a line") from error
    if not isinstance(content, dict):
        raise InputError(f"{where}: got a {type(content).__name__}, expected an object")
    entity = Entity(
        entity_id=_required(content, "id", where),
        name=unescaped(_required(content, "name", where)),
        aliases=tuple(unescaped(alias) for alias in _strings(content, "aliases", where)),
        description=unescaped(_string(content.get("description", ""), "description", where)),
        types=_strings(content, "types", where),
    )
    return SourceRecord(
        entity=entity,
        surfaces=_counts(content, where),
        partials=_strings(content, "partials", where),
        position=at,
    )


def _required(content: Mapping[str, object], key: str, where: str) -> str:
    if key not in content:
        raise InputError(f"{where}: got no {key}, expected a string: add it")
    value = _string(content[key], key, where)
    if not value.strip():
        raise InputError(f"{where}: got an empty {key}, expected some text: fill it in")
    return value


def _string(value: object, key: str, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where}: got {key} {_short(value)}, expected a string")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: got half of a surrogate pair in {key} {value!r}: escape the whole pair"
        ) from error
    return value


def _strings(content: Mapping[str, object], key: str, where: str) -> tuple[str, ...]:
    value = content.get(key, [])
    if not isinstance(value, list):
        raise InputError(f"{where}: got {key} {_short(value)}, expected a list of strings")
    return tuple(_string(item, key, where) for item in value)


def _counts(content: Mapping[str, object], where: str) -> dict[str, int]:
    value = content.get("surfaces", {})
    if not isinstance(value, dict):
        raise InputError(
            f"{where}: got surfaces {_short(value)}, expected an object of counts by surface form"
        )
    for surface, count in value.items():
        _string(surface, "surfaces", where)
        if type(count) is not int or count < 0:
            raise InputError(
                f"{where}: got the count {_short(count)} of {surface!r} in surfaces, "
                "expected a whole number from 0"
            )
    return value


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
