"""What an entity is called when it is not called by its full name, and what is of its kind."""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from relik.names.normalise import normalise
from relik.names.trie import PARTIAL
from relik_index.names.entity_types import is_date
from relik_training.data.json_lines import read_jsonl
from relik_training.data.knowledge_records import Records

_TEAM = re.compile(r"\b(?:team|club|franchise)\b", re.IGNORECASE)
_HEAD = re.compile(r"\b(?:in|of|by|from|for|at|on|who|which|that|located|based)\b|[,(;]")
# A form seen less often may be an annotator's slip, or need the sentence it stood in.
_LEAST_COUNT, _LEAST_SHARE = 3, 0.05
# Descriptions of these say what can stand in whose place even where the last word is rare.
_WIDE = frozenset({"person", "place"})
# Fewer of a kind would stand in for each other again and again.
_LEAST_KIN = 20


class OtherNames:
    """The names of a knowledge base, as augmentation asks for them.

    Args:
        rows: Objects of entities.jsonl.
        records: The same entities.
    """

    def __init__(self, rows: list[dict[str, Any]], records: Records) -> None:
        self._records = records
        self._rows: Mapping[str, dict[str, Any]] = {row["id"]: row for row in rows}
        self._kin: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
        for row in rows:
            if row.get("types") and self._bears_it_alone(row):
                for kind in _kinds(row):
                    self._kin[kind].append(row["id"])

    @classmethod
    def read(cls, path: Path, records: Records) -> "OtherNames":
        """Read entities.jsonl.

        Args:
            path: The file.
            records: The same entities.

        Returns:
            Their names.
        """
        return cls(list(read_jsonl(path)), records)

    def name(self, entity_id: str) -> str:
        """Return the name of an entity that is known.

        Args:
            entity_id: Its id.

        Returns:
            Its preferred name.
        """
        return str(self._rows[entity_id]["name"])

    def is_person(self, entity_id: str) -> bool:
        """Tell whether an entity is a person.

        Args:
            entity_id: An id.

        Returns:
            True for a known person.
        """
        return "person" in self._rows.get(entity_id, {}).get("types", ())

    def is_team(self, entity_id: str) -> bool:
        """Tell whether an entity is a team of some sport.

        Args:
            entity_id: An id.

        Returns:
            True for a known team.
        """
        row = self._rows.get(entity_id, {})
        described = _TEAM.search(row.get("description") or "")
        return described is not None and "organisation" in row.get("types", ())

    def places(self, entity_id: str) -> tuple[str, ...]:
        """Give the place or country that stands for a team in its name.

        Args:
            entity_id: An id.

        Returns:
            One name, or none where the entity is no team or its name has no place.
        """
        return self._sides(self._rows[entity_id])[:1] if self.is_team(entity_id) else ()

    def shorter(self, entity_id: str, surface: str) -> tuple[str, ...]:
        """Give the forms by which a text may call an entity instead of a longer one.

        Of a team its place and what is left of its name; of a person the surname; of others the
        parts of the name that the knowledge base has; and parts that were counted as anchors.

        Args:
            entity_id: An id; one that is unknown has no form.
            surface: What the text calls it.

        Returns:
            Forms whose words are some of those of `surface`, sorted.
        """
        row = self._rows.get(entity_id)
        words = surface.split()
        if row is None or len(words) < 2:
            return ()
        counts = row.get("surfaces", {})
        least = max(_LEAST_COUNT, _LEAST_SHARE * sum(counts.values()))
        counted = [form for form, n in counts.items() if n >= least]
        if self.is_team(entity_id):
            forms = {*counted, *self._sides(row)}
        else:
            forms = {*counted, *row.get("partials", ())}
        return tuple(sorted(form for form in forms if _is_part(form, words)))

    def another(self, entity_id: str, rng: np.random.Generator) -> str | None:
        """Draw another entity of the same kind, whose name is borne by no other.

        Args:
            entity_id: An id.
            rng: What draws.

        Returns:
            An id, or None where the entity is unknown, has no type, or is alone.
        """
        row = self._rows.get(entity_id)
        if row is None or not row.get("types"):
            return None
        for kind in _kinds(row):
            kin = self._kin.get(kind, [])
            if len(kin) >= _LEAST_KIN:
                drawn = kin[int(rng.integers(len(kin)))]
                return drawn if drawn != entity_id else None
        return None

    def _bears_it_alone(self, row: dict[str, Any]) -> bool:
        name = row["name"]
        if not name[:1].isupper() or "(" in name or is_date(name):
            return False
        return self._records.one_bears(name)

    def _sides(self, row: dict[str, Any]) -> tuple[str, ...]:
        """Give the place of a team, the longest that its name begins with, and the rest.

        Of a national team, or a club that is called as its town, there is no rest.
        """
        name, parts = row["name"], set(row.get("partials", ()))
        words = name.split()
        for cut in range(len(words) - 1, 0, -1):
            place, rest = " ".join(words[:cut]), " ".join(words[cut:])
            if place in parts and self._is_place(place):
                return (place, rest) if rest in parts else (place,)
        return tuple(part for part in sorted(parts) if self._is_place(part))[:1]

    def _is_place(self, name: str) -> bool:
        return any(
            "place" in self._records.entities[match.row].types
            for match in self._records.lookup(normalise(name))
            if not match.flags & PARTIAL
        )


def _kinds(row: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Give the kind of an entity, by what its description calls it, and the wider one."""
    coarse = str(row["types"][0])
    words = _HEAD.split(row.get("description") or "", maxsplit=1)[0].casefold().split()
    narrow = ((coarse, words[-1]),) if words else ()
    return (*narrow, (coarse,)) if coarse in _WIDE else narrow


def _is_part(form: str, words: list[str]) -> bool:
    part = form.split()
    return (
        len(form) > 2
        and form[0].isupper()
        and not is_date(form)
        and len(part) < len(words)
        and any(words[i : i + len(part)] == part for i in range(len(words)))
    )
