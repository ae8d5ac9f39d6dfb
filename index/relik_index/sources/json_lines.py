"""Records of a knowledge base from JSON Lines, checked, and the names that lead to them."""

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
from relik.names.resolve import WEIGHTS
from relik.names.trie import (
    CASED,
    DERIVED,
    MAX_COUNT,
    PARTIAL,
    PRIMARY,
    Kind,
    NameMatch,
    with_kind,
)
from relik.types import Entity

# An escaped surrogate pair, or an escape that is no surrogate; half a pair is no character.
_ESCAPES = re.compile(
    r"\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}|\\u(?![Dd][89A-Fa-f])[0-9A-Fa-f]{4}"
)

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Least share of lower-case uses of a name that make it a lower-case name: fewer are typing errors.
_LOWER_CASE_SHARE = 0.05
WHOLE = with_kind(0, Kind.EXACT)
"""Flags of what its source gives as a name of a record."""


def unescaped(text: str) -> str:
    r"""Undo the second escaping of a text that was escaped twice, such as `Pok\u00E9mon`.

    Escaped halves of surrogate pairs stay as they are.
    """
    return _ESCAPES.sub(_unescape, text) if "\\u" in text else text


def _unescape(escape: re.Match[str]) -> str:
    return bytes.fromhex(escape.group().replace("\\u", "")).decode("utf-16-be")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """One line of a knowledge base.

    Args:
        surfaces: Counts of further surface forms: how often each is linked to this record.
        partials: Flags of parts of its names, such as a surname, and of forms of them.
        known: Count and flags by normalised name, from another knowledge base.
        known_count: How often that knowledge base counts a link to it.
        position: Bytes of the file read so far, before decompression.
    """

    entity: Entity
    surfaces: Mapping[str, int] = field(default_factory=dict)
    partials: Mapping[str, int] = field(default_factory=dict)
    known: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    known_count: int = 0
    position: int = 0

    @property
    def count(self) -> int:
        """Number of links to this record, at most 2**32 - 1."""
        return min(sum(self.surfaces.values()) + self.known_count, 0xFFFFFFFF)


def read_source(path: Path) -> Iterator[SourceRecord]:
    """Read a knowledge base line by line.

    Args:
        path: JSON Lines, plain or gzipped: `{"id", "name", "aliases"?, "description"?, "types"?,
            "surfaces"?, "partials"?}`. Other keys and empty lines are ignored. Names and
            descriptions that were escaped twice are repaired.

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
            gzipped = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            lines = io.BufferedReader(gzip.GzipFile(fileobj=file)) if gzipped else file
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
            f"{path}, line {number + 1}: cannot be unpacked ({error}): compress the file again"
        ) from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}): give a file of JSON Lines"
        ) from error
    if not seen:
        raise InputError(f"{path}: got no records, expected one or more: give JSON Lines")


def name_matches(record: SourceRecord, *, row: int, any_case: bool = False) -> dict[str, NameMatch]:
    """Collect the entries of a record in the name trie, by normalised name.

    A name that is both full and partial counts as full. A name is cased unless its lower-case form
    is a name, an alias or a frequent surface form. Names without a letter or digit are left out.

    Args:
        any_case: Flag full names as not cased, and add the natural order of inverted terms, such
            as basal cell carcinoma for "Carcinoma, Basal Cell".
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
    formed = {keys[surface]: flags for surface, flags in record.partials.items()}
    matches: dict[str, NameMatch] = {}
    for key, count in counts.items():
        common = 0 < lower_counts[key] >= _LOWER_CASE_SHARE * count
        cased = not (key in lower or common)
        flags = WHOLE if key in full else formed[key]
        flags |= CASED * cased + PRIMARY * (key == keys[entity.name])
        if key:
            matches[key] = NameMatch(row, min(count, MAX_COUNT), flags)
    for key, (count, flags) in record.known.items():
        match = matches.get(key)
        if match is None:
            matches[key] = NameMatch(row, count, flags)
        elif count:
            # The flags of the other knowledge base come from text, those of this one from a list.
            whole = match.flags if match.flags & PARTIAL <= flags & PARTIAL else flags
            kept = match.flags & PRIMARY | flags & CASED | whole & ~(PRIMARY | CASED)
            matches[key] = NameMatch(row, min(match.count + count, MAX_COUNT), kept)
    matches = _with_uses_of_derived(matches, record)
    return _as_terms(matches, entity, row) if any_case else matches


def _with_uses_of_derived(
    matches: dict[str, NameMatch], record: SourceRecord
) -> dict[str, NameMatch]:
    """Let a demonym mean its place as often as the commonest name of that is used.

    How much less it counts is for the kind of the name to say, unless it is a name of its own.
    """
    derived = {normalise(form) for form, flags in record.partials.items() if flags & DERIVED}
    if not derived:
        return matches
    whole = (match.count for match in matches.values() if not match.flags & PARTIAL)
    uses = max(whole, default=0)
    changed = {}
    for key in derived:
        held = matches[key]
        least = uses if held.flags & PARTIAL else round(uses * WEIGHTS[Kind.INFLECTED])
        changed[key] = held._replace(count=max(held.count, least), flags=held.flags | DERIVED)
    return matches | changed


def _as_terms(matches: dict[str, NameMatch], entity: Entity, row: int) -> dict[str, NameMatch]:
    """Flag full names as not cased, and add the natural order of inverted terms."""
    terms = (normalise(_uninverted(surface)) for surface in (entity.name, *entity.aliases))
    added = {key: NameMatch(row, 0, WHOLE) for key in terms if key}
    return added | {
        key: match if match.flags & PARTIAL else match._replace(flags=match.flags & ~CASED)
        for key, match in matches.items()
    }


def _uninverted(surface: str) -> str:
    """Return the natural order of an inverted term; "" for any other name."""
    head, comma, rest = surface.partition(", ")
    return f"{rest} {head}" if comma and rest[:1].isalpha() and "," not in rest else ""


def _parsed(line: bytes, number: int, *, where: str, at: int) -> SourceRecord:
    try:
        # Only the first line of a file may begin with a byte order mark.
        text = (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: is not UTF-8 ({error.reason}): convert the file") from error
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is not JSON ({error}): give one object a line") from error
    if not isinstance(content, dict):
        raise InputError(
            f"{where}: got a {type(content).__name__}, expected an object: give one record a line"
        )
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
        partials=dict.fromkeys(_strings(content, "partials", where), PARTIAL),
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
        raise InputError(f"{where}: got {key} {_shortened(value)}, expected a string: quote it")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: got half of a surrogate pair in {key} {value!r}, expected Unicode text: "
            "escape the whole pair"
        ) from error
    return value


def _strings(content: Mapping[str, object], key: str, where: str) -> tuple[str, ...]:
    value = content.get(key, [])
    if not isinstance(value, list):
        raise InputError(
            f"{where}: got {key} {_shortened(value)}, expected a list of strings: put it in "
            "brackets"
        )
    return tuple(_string(item, key, where) for item in value)


def _counts(content: Mapping[str, object], where: str) -> dict[str, int]:
    value = content.get("surfaces", {})
    if not isinstance(value, dict):
        raise InputError(
            f"{where}: got surfaces {_shortened(value)}, expected an object of counts by surface "
            "form: correct it"
        )
    for surface, count in value.items():
        _string(surface, "surfaces", where)
        if type(count) is not int or count < 0:
            raise InputError(
                f"{where}: got the count {_shortened(count)} of {surface!r} in surfaces, "
                "expected a whole number from 0: correct it"
            )
    return value


def _shortened(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
