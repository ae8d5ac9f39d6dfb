"""Records that are one thing told twice, where a knowledge base was merged from several sources.

Within one source ids are told apart on purpose: two films of one title are two. Between sources
they are not: an old encyclopedia's "Football (soccer)" is Wikidata's "association football", and a
reader that is offered both has to guess. Here are the pairs of which each bears the other's name,
with one more name in common; what of them is the same somebody has to say.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from relik.errors import InputError
from relik.names.normalise import normalise
from relik_index.sources.json_lines import SourceRecord, read_source

_FEWEST_NAMES = 2
# A name that more records bear says nothing of two of them.
_MOST_BEARERS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Two records that may be one thing.

    Args:
        id: Id of the record of the smaller source.
        same_as: Id of the record of the larger one, which is kept.
        names: Their preferred names.
        shared: Normalised names that both have, sorted.
    """

    id: str
    same_as: str
    names: tuple[str, str]
    shared: tuple[str, ...]


def find_duplicates(path: Path) -> list[Duplicate]:
    """Find records of different sources that may be one thing.

    The source of a record is what its id has before a colon: "enwiki:Football_(soccer)".

    Args:
        path: JSON Lines of records, as `relik_index.sources.json_lines.read_source`.

    Returns:
        Pairs of which each bears the preferred name of the other, and that have another name in
        common, the most such names first, ties by id. A record is in one pair at most as the one
        that is merged, and in none as both; where it would be, no pair is given.

    Raises:
        InputError: The file cannot be read.
    """
    names: dict[str, tuple[str, frozenset[str]]] = {}
    bearers: defaultdict[str, list[str]] = defaultdict(list)
    for record in read_source(path):
        entity = record.entity
        own = frozenset(map(normalise, (entity.name, *entity.aliases))) - {""}
        names[entity.entity_id] = (entity.name, own)
        for name in own:
            bearers[name].append(entity.entity_id)
    sizes = Counter(map(_source, names))
    pairs = {
        pair
        for held in bearers.values()
        if 1 < len(held) <= _MOST_BEARERS
        for pair in combinations(sorted(held), 2)
        if _source(pair[0]) != _source(pair[1])
    }
    found = []
    for pair in pairs:
        # The larger source's id stays.
        one, other = sorted(pair, key=lambda each: (sizes[_source(each)], each))
        (called, own), (other_called, others) = names[one], names[other]
        shared = own & others
        mutual = {normalise(called), normalise(other_called)} <= shared
        if mutual and len(shared) >= _FEWEST_NAMES:
            found.append(
                Duplicate(
                    id=one,
                    same_as=other,
                    names=(called, other_called),
                    shared=tuple(sorted(shared)),
                )
            )
    # What may be two things is told of neither, and what goes into another keeps none itself.
    times = Counter(each.id for each in found)
    alone = [each for each in found if times[each.id] == 1 and each.same_as not in times]
    return sorted(alone, key=lambda each: (-len(each.shared), each.id))


def read_same(path: Path) -> dict[str, str]:
    """Read which records are one thing.

    Args:
        path: JSON Lines of `{"id", "same_as"}`, as `relik index duplicates` prints them; other
            keys are ignored, as are empty lines.

    Returns:
        The id that is kept, by that of the record which is merged into it.

    Raises:
        InputError: The file cannot be read, a line is no such object, an id stands there twice,
            or a record that is merged is to be kept as well.
    """
    try:
        # Names may have line separators of Unicode, which end no line of JSON.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}): give JSON Lines") from error
    same: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: is not JSON ({error}): give one object a line") from error
        one, other = (row.get("id"), row.get("same_as")) if isinstance(row, dict) else (None, None)
        if not (isinstance(one, str) and isinstance(other, str) and one and other):
            raise InputError(f'{where}: got {line[:60]}, expected {{"id", "same_as"}} with two ids')
        if one in same:
            raise InputError(f"{where}: got the id {one!r} again, expected each once: drop a line")
        same[one] = other
    kept = sorted(set(same) & set(same.values()))
    if kept:
        raise InputError(
            f"{path}: got {kept[0]!r} as a record that is merged and as one that is kept, expected "
            "one of both: name the record that is kept in the end"
        )
    return same


def merged_source(path: Path, same: Mapping[str, str]) -> Iterator[SourceRecord]:
    """Read a knowledge base, with records that are one thing as one.

    Args:
        path: As `relik_index.sources.json_lines.read_source`.
        same: The id that is kept, by that of the record which is merged into it.

    Yields:
        The records that are kept, in order; those of several have the names of all, and the counts
        of their surface forms. The description is that of the record kept, unless it has none.

    Raises:
        InputError: As `read_source`, or an id of `same` is no record.
    """
    if not same:
        yield from read_source(path)
        return
    parts: defaultdict[str, list[SourceRecord]] = defaultdict(list)
    missing = {*same, *same.values()}
    for record in read_source(path):
        missing.discard(record.entity.entity_id)
        if record.entity.entity_id in same:
            parts[same[record.entity.entity_id]].append(record)
    if missing:
        raise InputError(
            f"{path}: has no record {min(missing)!r}, expected those that are said to be the same: "
            "correct the ids, or leave the line out"
        )
    for record in read_source(path):
        if record.entity.entity_id not in same:
            yield _joined(record, parts.get(record.entity.entity_id, ()))


def _joined(record: SourceRecord, parts: Sequence[SourceRecord]) -> SourceRecord:
    if not parts:
        return record
    entity, counts = record.entity, Counter(record.surfaces)
    names = dict.fromkeys(entity.aliases)
    for part in parts:
        names |= dict.fromkeys((part.entity.name, *part.entity.aliases))
        counts.update(part.surfaces)
    names.pop(entity.name, None)
    described = (each.description for each in (entity, *(part.entity for part in parts)))
    return replace(
        record,
        entity=replace(entity, aliases=tuple(names), description=next(filter(None, described), "")),
        surfaces=dict(counts),
        partials=(*record.partials, *(name for part in parts for name in part.partials)),
    )


def _source(entity_id: str) -> str:
    before, colon, _ = entity_id.partition(":")
    return before if colon else ""
