"""Synthetic first sentences of articles about places, from descriptions of a knowledge base.

"A village in Dharwad district, Karnataka, India": each place lies in the one that follows it.
Tens of thousands of places have such a description.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from relik_training.augment.made_page import MadePage, article, draw_one, sample
from relik_training.data.examples import Example
from relik_training.data.knowledge_records import Records

_WITHIN = re.compile(
    r"(?:former )?(?P<kind>[a-z][a-z -]+?) (?:in|of) (?:the )?"
    r"(?P<region>[A-Z][^,;()]*), (?P<land>[A-Z][^,;()]*?)(?:;.*)?"
)
_STATE = re.compile(r"\b(?:country|sovereign state|state in|island nation)\b")
_WAYS = ("northern", "north-eastern", "southern", "central", "western", "eastern")
_SETTLED = frozenset({"city", "town", "commune", "municipality", "village", "capital", "borough"})
_LEAST = 12
_FIRST = (
    "{x} is {kind} in {region}, {land}. ",
    "{x} is {kind} in the {region} of {land}. ",
    "{x} is {kind} in {region}, in {way} {land}. ",
    "{x} is {kind} located in {region}, {land}. ",
    "{x} is {kind} of {region} in {way} {land}, with a population of {n}. ",
    "{x} is {kind} in {region} in the {way} part of {land}. ",
    "{x} lies in {region}, {land}. ",
)
# About a building in a place; the building has no record.
_WHAT_STANDS = (
    "The {built} is {sort} in {x}, {region}, {land}. ",
    "The {built} is {sort} located in {x}, {region}. ",
    "The {built} is {sort} in the town of {x} in {region}, {land}. ",
    "The {built}, opened in {year}, is {sort} at {x}, {region}. ",
)
_LATER = (
    "It had {n} inhabitants in {year}. ",
    "It covers an area of {n} square kilometres. ",
    "It was founded in {year}. ",
    "In {year}, it was rebuilt after a fire. ",
)
_SORTS = (
    ("Station", "railway station"),
    ("High School", "public high school"),
    ("Museum", "museum"),
    ("Cathedral", "church"),
    ("Stadium", "stadium"),
    ("Airport", "airport"),
    ("Hall", "historic building"),
    ("Bridge", "bridge"),
)


class PlacePages:
    """Draws windows about places."""

    def __init__(self, rows: Sequence[dict[str, Any]], records: Records) -> None:
        self._records = records
        lands: dict[str, str] = {}
        places: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            if "place" in row.get("types", ()):
                places[row["name"]].append(row["id"])
                if _STATE.search(row.get("description") or ""):
                    lands.setdefault(row["name"], row["id"])
        self._found: defaultdict[str, list[tuple[str, ...]]] = defaultdict(list)
        for row in rows:
            match = _WITHIN.fullmatch(row.get("description") or "")
            if match is None or not self._is_simple(row["name"]):
                continue
            region, land = match["region"], match["land"]
            if land in lands and len(places.get(region, ())) == 1 and region != row["name"]:
                within = (places[region][0], region, lands[land], land)
                self._found[match["kind"]].append((row["id"], row["name"], *within))
        self._kinds = [kind for kind, held in sorted(self._found.items()) if len(held) >= _LEAST]

    @property
    def possible(self) -> bool:
        """Tell whether enough descriptions name a region and a country."""
        return bool(self._kinds)

    def window(self, number: int, *, seed: int) -> Example:
        """Draw a window, in which every name is labelled and kinds of places are unknown spans.

        Args:
            number: Number of the window; with the seed, it determines the result.
        """
        rng = np.random.default_rng([seed, 89, number])
        page = MadePage()
        for _ in range(int(rng.integers(1, 3))):
            kind = draw_one(self._kinds, rng)
            place = draw_one(self._found[kind], rng)
            stands = kind in _SETTLED and rng.random() < 0.5
            _write(page, draw_one(_WHAT_STANDS if stands else _FIRST, rng), kind, place, rng)
            for sentence in sample(_LATER, int(rng.integers(0, 2)), rng):
                _write(page, sentence, kind, place, rng)
        return page.example(f"place-page-{number}", relations="all")

    def _is_simple(self, name: str) -> bool:
        plain = name[:1].isupper() and not re.search(r"[(),\\]", name)
        return plain and self._records.is_unique(name)


def _write(
    page: MadePage, sentence: str, kind: str, place: tuple[str, ...], rng: np.random.Generator
) -> None:
    """Write a sentence, with the triples of all containing places."""
    roles = {"x": place[0:2], "region": place[2:4], "land": place[4:6]}
    last, sort = draw_one(_SORTS, rng)
    built = f"{place[1].split()[0]} {last}"
    plain = {"kind": kind, "sort": sort, "way": draw_one(_WAYS, rng)}
    placed: dict[str, int] = {}
    for piece in re.split(r"(\{\w+\})", sentence):
        role = piece.strip("{}")
        if not piece.startswith("{"):
            page.say(piece)
        elif role in roles:
            placed[role] = page.name(*roles[role])
        elif role == "built":
            placed[role] = page.name("", built)
        elif role in plain:
            if role != "way":
                page.say(article(plain[role]))
            page.say(plain[role], unknown=role != "way")
        else:
            low, high = (1700, 2015) if role == "year" else (20, 9000)
            page.say(str(int(rng.integers(low, high))))
    _relate(page, placed)


def _relate(page: MadePage, placed: dict[str, int]) -> None:
    """Add the triples of containment: P131 and P150 for direct, P17 for a country.

    P150, from a container to a part, is certain only for a region of a country, which have no level
    between them. Indirect P131, P131 of a country, and all other P150 are doubtful.
    """
    chain = [placed[role] for role in ("built", "x", "region", "land") if role in placed]
    land, region = placed.get("land"), placed.get("region")
    for number, inner in enumerate(chain[:-1]):
        for step, outer in enumerate(chain[number + 1 :]):
            direct = step == 0 and outer != land
            (page.triples if direct else page.doubtful).add((inner, "P131", outer))
            if outer == land:
                page.triples.add((inner, "P17", outer))
            (page.triples if inner == region else page.doubtful).add((outer, "P150", inner))
