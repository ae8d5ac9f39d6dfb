"""The records of a knowledge base in memory, as training needs them: texts, names, namesakes."""

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
        self._counts: list[int] = []
        self._names: defaultdict[str, list[NameMatch]] = defaultdict(list)
        for row in rows:
            self._add(row)
        self._rows = {entity.entity_id: i for i, entity in enumerate(self.entities)}

    @classmethod
    def read(cls, path: Path) -> "Records":
        """Read a JSON Lines file.

        Args:
            path: The file.

        Returns:
            The records.
        """
        return cls(read_jsonl(path))

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.entities)

    def __contains__(self, entity_id: object) -> bool:
        """Tell whether an id is among the records."""
        return entity_id in self._rows

    def row_of(self, entity_id: str) -> int | None:
        """Return the row of an id.

        Args:
            entity_id: The id.

        Returns:
            The row, or None.
        """
        return self._rows.get(entity_id)

    def lookup(self, key: str) -> list[NameMatch]:
        """Return the records that have a name, as `NameTrie.lookup` does.

        Args:
            key: A normalised name.

        Returns:
            Most frequent first.
        """
        return sorted(self._names.get(key, ()), key=lambda match: (-match.count, match.row))

    def names(self, surface: str) -> bool:
        """Tell whether some record has a name, or a part of one.

        Args:
            surface: A name as it stands in a text.

        Returns:
            True if so.
        """
        return normalise(surface) in self._names

    def one_bears(self, name: str) -> bool:
        """Tell whether just one record has a name as a whole.

        Args:
            name: A name as it stands in a text.

        Returns:
            True if so.
        """
        return sum(not m.flags & PARTIAL for m in self.lookup(normalise(name))) == 1

    def unambiguous(self, surface: str) -> str | None:
        """Return the id that a name nearly always means.

        Args:
            surface: A name as it stands in a text.

        Returns:
            An id where the name was linked at least three times and nine times in ten to it, or
            has several words and only one bearer; else None.
        """
        matches = [m for m in self.lookup(normalise(surface)) if not m.flags & PARTIAL]
        if not matches:
            return None
        best, total = matches[0], sum(match.count for match in matches)
        often = best.count >= 3 and best.count >= 0.9 * total
        alone = len(matches) == 1 and " " in surface and best.flags & (PRIMARY | CASED)
        return self.entities[best.row].entity_id if often or alone else None

    def _add(self, row: dict[str, Any]) -> None:
        number = len(self.entities)
        surfaces: dict[str, int] = row.get("surfaces", {})
        found: dict[str, tuple[int, int]] = {}
        forms = [(row["name"], 0, PRIMARY), *((a, 0, 0) for a in row.get("aliases", ()))]
        forms += [(form, count, 0) for form, count in surfaces.items()]
        for form, count, flags in forms:
            key = normalise(form)
            if key:
                held = found.get(key, (0, 0))
                flags |= CASED if is_cased(form) else 0
                found[key] = (held[0] + count, held[1] | flags)
        for form in row.get("partials", ()):
            found.setdefault(normalise(form), (0, PARTIAL | CASED))
        for key, (count, flags) in found.items():
            self._names[key].append(NameMatch(number, count, flags))
        self._counts.append(sum(surfaces.values()))
        self.entities.append(
            Entity(
                entity_id=row["id"],
                name=row["name"],
                aliases=tuple(row.get("aliases", ())),
                description=row.get("description") or "",
                types=tuple(row.get("types", ())),
            )
        )
