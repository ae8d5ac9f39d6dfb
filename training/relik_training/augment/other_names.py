"""Short forms of entity names, and random entities of the same kind, for augmentation."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from relik.names.normalise import normalise
from relik.names.trie import PARTIAL
from relik_index.names.entity_types import is_date
from relik_training.data.knowledge_records import Records

_TEAM = re.compile(r"\b(?:team|club|franchise)\b", re.IGNORECASE)
_HEAD = re.compile(r"\b(?:in|of|by|from|for|at|on|who|which|that|located|based)\b|[,(;]")
# Rarer surface forms may be annotation errors, or depend on their context.
_LEAST_COUNT, _LEAST_SHARE = 3, 0.05
# Types whose entities can replace each other, whatever their descriptions.
_WIDE = frozenset({"person", "place"})
# Minimum size of a kind: in a smaller one the same replacements recur.
_MIN_KIND = 20


class OtherNames:
    """Names and kinds of the entities of a knowledge base.

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

    def name(self, entity_id: str) -> str:
        """Return the preferred name of a known entity."""
        return str(self._rows[entity_id]["name"])

    def is_person(self, entity_id: str) -> bool:
        """Tell whether an id is that of a known person."""
        return "person" in self._rows.get(entity_id, {}).get("types", ())

    def is_team(self, entity_id: str) -> bool:
        """Tell whether an id is that of a known sports team."""
        row = self._rows.get(entity_id, {})
        described = _TEAM.search(row.get("description") or "")
        return described is not None and "organisation" in row.get("types", ())

    def places(self, entity_id: str) -> tuple[str, ...]:
        """Return the town or country in the name of a team, as a tuple of at most one name."""
        return self._sides(self._rows[entity_id])[:1] if self.is_team(entity_id) else ()

    def shorter(self, entity_id: str, surface: str) -> tuple[str, ...]:
        """Return short forms of a surface form, sorted; none for an unknown entity.

        These are contiguous words of `surface` that are a frequent surface form or, for a team,
        its place or the rest of its name, and for others a partial name, such as a surname.
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
        """Draw another entity of the same kind with an unambiguous name.

        Returns:
            Its id; None if the entity is unknown, has no type, or its kind is too small.
        """
        row = self._rows.get(entity_id)
        if row is None or not row.get("types"):
            return None
        for kind in _kinds(row):
            same_kind = self._kin.get(kind, [])
            if len(same_kind) >= _MIN_KIND:
                drawn = same_kind[int(rng.integers(len(same_kind)))]
                return drawn if drawn != entity_id else None
        return None

    def _bears_it_alone(self, row: dict[str, Any]) -> bool:
        name = row["name"]
        if not name[:1].isupper() or "(" in name or is_date(name):
            return False
        return self._records.is_unique(name)

    def _sides(self, row: dict[str, Any]) -> tuple[str, ...]:
        """Split the name of a team into its place, the longest possible, and the rest.

        The rest is missing for a national team, and for a club that is called like its town.
        """
        name, parts = row["name"], set(row.get("partials", ()))
        words = name.split()
        for n_words in range(len(words) - 1, 0, -1):
            place, rest = " ".join(words[:n_words]), " ".join(words[n_words:])
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
    """Return the kinds of an entity, narrowest first: by its description, then by its type."""
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
