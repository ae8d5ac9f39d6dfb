"""The records of a knowledge base in memory, with name lookup, for training."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from relik.names.normalise import is_cased, normalise
from relik.names.trie import CASED, PARTIAL, PRIMARY, NameMatch
from relik.types import Entity
from relik_training.data.json_lines import read_jsonl


class Records:
    """Records of one knowledge base.

    Args:
        rows: Objects with `id`, `name`, and optionally `aliases`, `description`, `surfaces`,
            `partials`.
    """

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        self.entities: list[Entity] = []
        self._names: defaultdict[str, list[NameMatch]] = defaultdict(list)
        for row in rows:
            self._add(row)
        self._rows = {entity.entity_id: i for i, entity in enumerate(self.entities)}

    @classmethod
    def read(cls, path: Path) -> "Records":
        """Read a JSON Lines file."""
        return cls(read_jsonl(path))

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.entities)

    def __contains__(self, entity_id: object) -> bool:
        """Tell whether a record has this id."""
        return entity_id in self._rows

    def row_of(self, entity_id: str) -> int | None:
        """Return the row of an id, or None."""
        return self._rows.get(entity_id)

    def lookup(self, key: str) -> list[NameMatch]:
        """Return the records with a normalised name, most frequent first, as `NameTrie.lookup`."""
        return sorted(self._names.get(key, ()), key=lambda match: (-match.count, match.row))

    def has_name(self, surface: str) -> bool:
        """Tell whether a record has this name, in full or in part."""
        return normalise(surface) in self._names

    def is_unique(self, name: str) -> bool:
        """Tell whether exactly one record has this full name."""
        return sum(not m.flags & PARTIAL for m in self.lookup(normalise(name))) == 1

    def unambiguous(self, surface: str) -> str | None:
        """Return the id of an unambiguous name, else None.

        A name is unambiguous if at least three links, and 90 % of all its links, go to one record,
        or if it has several words and a single record.
        """
        matches = [m for m in self.lookup(normalise(surface)) if not m.flags & PARTIAL]
        if not matches:
            return None
        best, total = matches[0], sum(match.count for match in matches)
        dominant = best.count >= 3 and best.count >= 0.9 * total
        only_bearer = len(matches) == 1 and " " in surface and best.flags & (PRIMARY | CASED)
        return self.entities[best.row].entity_id if dominant or only_bearer else None

    def _add(self, row: dict[str, Any]) -> None:
        number = len(self.entities)
        surfaces: dict[str, int] = row.get("surfaces", {})
        found: dict[str, tuple[int, int]] = {}
        forms = [(row["name"], 0, PRIMARY), *((a, 0, 0) for a in row.get("aliases", ()))]
        forms += [(form, count, 0) for form, count in surfaces.items()]
        for form, count, flags in forms:
            key = normalise(form)
            if key:
                known = found.get(key, (0, 0))
                flags |= CASED if is_cased(form) else 0
                found[key] = (known[0] + count, known[1] | flags)
        for form in row.get("partials", ()):
            found.setdefault(normalise(form), (0, PARTIAL | CASED))
        for key, (count, flags) in found.items():
            self._names[key].append(NameMatch(number, count, flags))
        self.entities.append(
            Entity(
                entity_id=row["id"],
                name=row["name"],
                aliases=tuple(row.get("aliases", ())),
                description=row.get("description") or "",
                types=tuple(row.get("types", ())),
            )
        )
