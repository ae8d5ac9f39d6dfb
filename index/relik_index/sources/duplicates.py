"""Duplicate records of one entity in a knowledge base that was merged from several sources.

Within one source, records with a common name are distinct: two films of one title are two. Between
sources they may be duplicates: an old encyclopedia's "Football (soccer)" is Wikidata's "association
football", and a reader with both candidates has to guess. This module finds pairs that bear each
other's preferred name and share another one; a person decides which of them are duplicates.
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

_MIN_SHARED = 2
# Names that more records bear are no evidence for a pair.
_MAX_BEARERS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Two records that may be duplicates.

    Args:
        id: Id of the record of the smaller source.
        same_as: Id of the record of the larger source, which is kept.
        names: Their preferred names, in the same order.
        shared: Normalised names that both bear, sorted.
    """

    id: str
    same_as: str
    names: tuple[str, str]
    shared: tuple[str, ...]


def find_duplicates(path: Path) -> list[Duplicate]:
    """Find records of different sources that may be duplicates.

    The source of a record is the prefix of its id before a colon: "enwiki:Football_(soccer)".

    Args:
        path: JSON Lines of records, as `relik_index.sources.json_lines.read_source` reads them.

    Returns:
        Pairs that bear each other's preferred name and share another one, by number of shared
        names, most first, ties by id. Ambiguous pairs are left out: those whose smaller record
        has another possible target, or whose larger record would itself be merged.

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
        for bearer_ids in bearers.values()
        if 1 < len(bearer_ids) <= _MAX_BEARERS
        for pair in combinations(sorted(bearer_ids), 2)
        if _source(pair[0]) != _source(pair[1])
    }
    found = []
    for pair in pairs:
        # The id of the larger source is kept.
        one, other = sorted(pair, key=lambda each: (sizes[_source(each)], each))
        (called, own), (other_called, others) = names[one], names[other]
        shared = own & others
        mutual = {normalise(called), normalise(other_called)} <= shared
        if mutual and len(shared) >= _MIN_SHARED:
            found.append(
                Duplicate(
                    id=one,
                    same_as=other,
                    names=(called, other_called),
                    shared=tuple(sorted(shared)),
                )
            )
    # A record with two possible targets is ambiguous, and a merged record cannot be a target.
    n_pairs = Counter(each.id for each in found)
    unambiguous = [each for each in found if n_pairs[each.id] == 1 and each.same_as not in n_pairs]
    return sorted(unambiguous, key=lambda each: (-len(each.shared), each.id))


def read_same(path: Path) -> dict[str, str]:
    """Read which records are duplicates.

    Args:
        path: JSON Lines of `{"id", "same_as"}`, as `relik index duplicates` prints them; other
            keys and empty lines are ignored.

    Returns:
        The id that is kept, by the id of the record that is merged into it.

    Raises:
        InputError: The file cannot be read, a line has another shape, an id is repeated, or a
            record is both merged and kept.
    """
    try:
        # Not splitlines: names may contain Unicode line separators, which do not end a JSON line.
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
            raise InputError(
                f'{where}: got {line[:60]}, expected {{"id", "same_as"}} with two ids: correct it'
            )
        if one in same:
            raise InputError(
                f"{where}: got the id {one!r} again, expected each once: remove a line"
            )
        same[one] = other
    kept = sorted(set(same) & set(same.values()))
    if kept:
        raise InputError(
            f"{path}: got {kept[0]!r} both as id and as same_as, expected one of the two: give as "
            "same_as the record that is kept in the end"
        )
    return same


def merged_source(path: Path, same: Mapping[str, str]) -> Iterator[SourceRecord]:
    """Read a knowledge base and merge duplicates.

    Args:
        path: As `relik_index.sources.json_lines.read_source`.
        same: The id that is kept, by the id of the record that is merged into it.

    Yields:
        The records that are kept, in order, each with the aliases and surface counts of its
        duplicates, and with the first description that is not empty.

    Raises:
        InputError: As `read_source`, or an id of `same` has no record.
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
            f"{path}: got no record {min(missing)!r}, expected one for each id of the duplicates: "
            "correct the id, or remove its line"
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
        partials={
            name: flags for each in (*parts, record) for name, flags in each.partials.items()
        },
    )


def _source(entity_id: str) -> str:
    before, colon, _ = entity_id.partition(":")
    return before if colon else ""
