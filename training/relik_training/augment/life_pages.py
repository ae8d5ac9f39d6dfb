"""Synthetic first sentences of articles about people, from records of a knowledge base.

An encyclopedia names the subject of an article once and then writes "he" or "she", so that the two
ends of a triple are sentences apart. It also names a sport by its practitioners: a footballer plays
association football. Descriptions, which are single sentences, teach neither. The facts are random,
but the labels agree with the text.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from relik.names.language import DEFAULT_LANGUAGE, open_language
from relik_index.names.practitioners import is_sport, named_by
from relik_training.augment.made_page import MadePage, article, draw_one, sample
from relik_training.data.examples import Example
from relik_training.data.knowledge_records import Records

_GAMES = re.compile(
    r"\d{4} (?:.*Olympics|.*Games|.*World Cup|.*Championships?|.*Copa Am\u00e9rica|UEFA Euro.*)"
)
_SCHOOL = re.compile(r"\b(?:University|College|School|Academy|Institute)\b")
_PARTY = re.compile(r"\bpolitical party\b")
_CITY = re.compile(r"\b(?:capital|city|town)\b")
_POSITION = re.compile(r"\bposition\b")
_YEARS = re.compile(r"\s*\([^)]*\)|;.*")
# A short description: demonym and occupation.
_ADJECTIVE = re.compile(r"(?:(?P<of>[A-Z][\w-]+(?: [A-Z][\w-]+)?) )?(?P<rest>[a-z][\w ,-]*)")
_LONGEST = 60
_MIN_RECORDS = 12
_MIN_PEOPLE = 3
# Share of pages about athletes.
_ATHLETES = 0.6
_MONTHS = ("January", "March", "May", "June", "August", "September", "November", "December")

_FIRST_OF_ATHLETE = (
    "{p} (born {date}) is {who} who plays as {a_position} for {team} .",
    "{p} (born {date} in {city}) is {who} .",
    "{p} (born {date}) is {former} who played for {team} and {team2} .",
    "{p} ({date} \u2013 {date}) was {who} .",
    "{p} ({date} in {city} \u2013 {date} in {died}) was {who} .",
    "{p}, born {date}, is {former} .",
    "{p} is {who} , currently playing for {team} .",
    "{p} is {who} who last played for {team} as {a_position} .",
    "{p} (born {city}, {date}) is {who} and coach .",
    "{p} was {who} of his time .",
)
_FIRST_OF_OTHERS = (
    "{p} (born {date}) is {what} .",
    "{p} (born {date} in {city}) is {what} .",
    "{p} ({date} \u2013 {date}) was {what} .",
    "{p} ({date}, {city} \u2013 {date}, {died}) was {what} .",
    "{p}, born in {city}, was {what} .",
    "{p} was {what} and a member of {party} .",
)
_LATER_OF_ATHLETE = (
    "{He} competed in the men's event at the {games} .",
    "{He} competed at the {games} , finishing in {n}th place .",
    "{He} took part in the {games} , but did not win a medal .",
    "{He} won a bronze medal at the {games} .",
    "At the {games} {he} was knocked out in the first round .",
    "{He} represented his country at the {games} .",
    "{He} was part of the squad for the {games} .",
    "{He} previously played for {team2} and {team3} .",
    "In {year} , {he} joined {team2} on a free transfer .",
    "{He} began {his} career with {team2} before moving to {team3} .",
    "{He} made {his} debut for {team2} in {year} .",
    "After {n} seasons , {he} signed for {team3} .",
    "{He} plays as {a_position} .",
)
_LATER_OF_ALL = (
    "{He} was educated at {school} .",
    "{He} was educated at {school} and at {school2} .",
    "{He} studied at {school} , where {he} graduated in {year} .",
    "{He} graduated from {school} in {year} .",
    "{He} attended {school} before he moved on .",
    "{He} was born in {city} .",
    "{He} grew up in a family of {n} .",
    "{He} died in {died} at the age of {n}5 .",
    "{He} was born in {city} and died in {died} .",
    "{He} has {n} brothers and lives abroad .",
    "{He} retired in {year} .",
)
_LATER_OF_OTHERS = (
    "{He} received {his} doctorate from {school} in {year} .",
    "In {year} {he} joined {party} .",
    "{He} was a member of {party} .",
    "{He} left {party} in {year} .",
)
_RELATIONS = {
    "team": "P54",
    "team2": "P54",
    "team3": "P54",
    "position": "P413",
    "sport": "P641",
    "games": "P1344",
    "school": "P69",
    "school2": "P69",
    "party": "P102",
    "city": "P19",
    "died": "P20",
}
"""Relation of the person to each role: ids of Wikidata properties."""
_OF_SPORT = ("team", "team2", "team3", "position")


@dataclass(frozen=True, slots=True)
class _Sport:
    """A sport with its practitioners, teams and positions."""

    entity_id: str
    forms: tuple[str, ...]
    people: tuple[tuple[str, str, str], ...]
    teams: tuple[tuple[str, str], ...]
    positions: tuple[tuple[str, str], ...]


class LifePages:
    """Draws windows about people."""

    def __init__(self, rows: Sequence[dict[str, Any]], records: Records) -> None:
        self._records = records
        held: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        people: list[tuple[str, str, str]] = []
        for row in rows:
            name, description = row["name"], row.get("description") or ""
            if "\\" in name or not self._bears_it_alone(name):
                continue
            kinds = row.get("types", ())
            description = _YEARS.sub("", description)
            if "person" in kinds:
                if len(name.split()) > 1 and self._is_short(name, description):
                    people.append((row["id"], name, description))
            elif _GAMES.fullmatch(name):
                held["games"].append((row["id"], name))
            elif "organisation" in kinds and _SCHOOL.search(name):
                held["school"].append((row["id"], name))
            elif "organisation" in kinds and _PARTY.search(description):
                held["party"].append((row["id"], name))
            elif "place" in kinds and _CITY.search(description) and name.isascii():
                held["city"].append((row["id"], name))
        self._held = held
        self._people = people
        self._sports = self._by_sport(rows, people)
        sizes = np.sqrt([len(sport.people) for sport in self._sports])
        self._weights = sizes / sizes.sum() if len(sizes) else sizes

    @property
    def possible(self) -> bool:
        """Tell whether the knowledge base has enough people, sports, schools, towns and games."""
        enough = all(len(self._held[kind]) >= _MIN_RECORDS for kind in ("games", "school", "city"))
        return enough and len(self._people) >= _MIN_RECORDS and bool(self._sports)

    def window(self, number: int, *, seed: int) -> Example:
        """Draw a window, in which every name is labelled; demonyms and occupations are unknown.

        Args:
            number: Number of the window; with the seed, it determines the result.
        """
        rng = np.random.default_rng([seed, 83, number])
        chosen = rng.choice(len(self._sports), p=self._weights)
        sport = self._sports[int(chosen)] if rng.random() < _ATHLETES else None
        cast = self._cast(sport, rng)
        first, later = (
            (_FIRST_OF_OTHERS, (*_LATER_OF_ALL, *_LATER_OF_OTHERS))
            if sport is None
            else (_FIRST_OF_ATHLETE, (*_LATER_OF_ALL, *_LATER_OF_ATHLETE, *_LATER_OF_ATHLETE))
        )
        page = MadePage()
        woman = rng.random() < 0.3
        possible = [sentence for sentence in first if _roles(sentence) <= cast.keys()]
        for sentence in (draw_one(possible, rng), *sample(later, int(rng.integers(0, 4)), rng)):
            _write(page, _tidy(sentence, woman), cast, sport, rng)
        return page.example(f"life-page-{number}", relations="all")

    def _cast(self, sport: _Sport | None, rng: np.random.Generator) -> dict[str, tuple[str, str]]:
        """Draw the entity of each role of a page."""
        person, name, description = draw_one(sport.people if sport else self._people, rng)
        schools = sample(self._held["school"], 2, rng)
        cities = sample(self._held["city"], 2, rng)
        cast = {"p": (person, name), "what": ("", description), "school": schools[0]}
        cast |= {"school2": schools[1], "city": cities[0], "died": cities[1]}
        cast["games"] = draw_one(self._held["games"], rng)
        if self._held["party"]:
            cast["party"] = draw_one(self._held["party"], rng)
        if sport:
            cast |= dict(zip(("team", "team2", "team3"), sample(sport.teams, 3, rng), strict=False))
            if sport.positions:
                cast["position"] = draw_one(sport.positions, rng)
        return cast

    def _by_sport(
        self, rows: Sequence[dict[str, Any]], people: Sequence[tuple[str, str, str]]
    ) -> list[_Sport]:
        """Collect the practitioners, teams and positions of each sport, by descriptions."""
        language = open_language(DEFAULT_LANGUAGE)
        by_name = {name.casefold(): name for name in language.practitioners}
        all_teams, all_positions = self._belonging(rows)
        sports = []
        for row in rows:
            name, description = by_name.get(row["name"].casefold()), row.get("description") or ""
            if name is None or {"place", "person"} & {*row.get("types", ())}:
                continue
            if not is_sport(description, language):
                continue
            forms = language.practitioners[name]
            sign = re.compile(rf"\b(?:{'|'.join(map(re.escape, forms))})\b")
            own = tuple(each for each in people if sign.search(each[2]))
            of_it = re.compile(rf"\b{re.escape(name)}\b")
            teams, positions = (
                tuple(each[:2] for each in belonging if of_it.search(each[2]))
                for belonging in (all_teams, all_positions)
            )
            teams = teams if len(teams) >= _MIN_RECORDS else ()
            sports.append(_Sport(row["id"], forms, own, teams, positions))
        everyone = tuple(dict.fromkeys(each for sport in sports for each in sport.people))
        # A sport with too few known practitioners gets those of all sports.
        return [
            sport if len(sport.people) >= _MIN_PEOPLE else replace(sport, people=everyone)
            for sport in sports
            if everyone
        ]

    def _belonging(
        self, rows: Sequence[dict[str, Any]]
    ) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
        """Return organisations, which may be teams, and positions, with their descriptions."""
        teams, positions = [], []
        for row in rows:
            one_of = (row["id"], row["name"], row.get("description") or "")
            if "organisation" in row.get("types", ()) and self._bears_it_alone(row["name"]):
                teams.append(one_of)
            elif _POSITION.search(one_of[2]) and row["name"].islower():
                positions.append(one_of)
        return teams, positions

    def _is_short(self, name: str, description: str) -> bool:
        own = set(name.split()) & set(description.split())
        return (
            len(description) <= _LONGEST
            and not own
            and _ADJECTIVE.fullmatch(description) is not None
        )

    def _bears_it_alone(self, name: str) -> bool:
        if not (name[:1].isupper() or name[:1].isdigit()) or "(" in name:
            return False
        return self._records.is_unique(name)


def _tidy(sentence: str, woman: bool) -> str:
    """Remove spaces before punctuation, and set the pronouns."""
    tidy = re.sub(r" (?=[.,])", "", sentence)
    if woman:
        tidy = tidy.replace("men's", "women's").replace("{his}", "her").replace(" his ", " her ")
        tidy = tidy.replace("{He}", "She").replace("{he}", "she").replace(" he ", " she ")
    return tidy.replace("{his}", "his").replace("{He}", "He").replace("{he}", "he") + " "


def _write(
    page: MadePage,
    sentence: str,
    cast: dict[str, tuple[str, str]],
    sport: _Sport | None,
    rng: np.random.Generator,
) -> None:
    """Write a sentence, unless an entity of it is missing or already on the page."""
    written = {mention.entity_id for mention in page.mentions}
    if any(role not in cast or cast[role][0] in written for role in _roles(sentence)):
        return
    placed: dict[str, int] = {}
    for piece in re.split(r"(\{\w+\})", sentence):
        role = piece.strip("{}").removeprefix("a_")
        if not piece.startswith("{"):
            page.say(piece)
        elif role in ("who", "former", "what"):
            placed |= _said_of(page, role, cast["what"][1], sport, rng)
        elif role in cast:
            if piece == "{a_position}":
                page.say(article(cast[role][1]))
            placed[role] = page.name(*cast[role])
        else:
            page.say(_plain(role, rng))
    _relate(page, placed)


def _roles(sentence: str) -> set[str]:
    """Return the roles of a sentence that need an entity."""
    roles = {role.removeprefix("a_") for role in re.findall(r"\{(\w+)\}", sentence)}
    return roles & {"p", *_RELATIONS}


def _said_of(
    page: MadePage, role: str, description: str, sport: _Sport | None, rng: np.random.Generator
) -> dict[str, int]:
    """Write the occupation of a person; the sport is a mention, the rest an unknown span."""
    of = _ADJECTIVE.fullmatch(description)
    adjective, rest = (of["of"] or "", of["rest"]) if of else ("", description)
    before = draw_one(("", "", "", "professional "), rng) if role == "who" else ""
    before = draw_one(("former ", "retired "), rng) if role == "former" else before
    form = rest if role == "what" or sport is None else draw_one(sport.forms, rng)
    page.say(article(before or adjective or form) + before)
    page.say(adjective, unknown=True)
    page.say(" " if adjective else "")
    if role == "what" or sport is None:
        page.say(form, unknown=True)
        return {}
    named = named_by(form, open_language(DEFAULT_LANGUAGE))
    index = page.name(sport.entity_id, named)
    page.say(form[len(named) :])
    return {"sport": index}


def _plain(role: str, rng: np.random.Generator) -> str:
    year = str(int(rng.integers(1890, 2015)))
    if role == "date":
        return f"{int(rng.integers(1, 29))} {draw_one(_MONTHS, rng)} {year}"
    return year if role == "year" else str(int(rng.integers(4, 10)))


def _relate(page: MadePage, placed: dict[str, int]) -> None:
    """Add the triples of a sentence: with the person, the first mention, and with the sport."""
    for role, index in placed.items():
        if relation := _RELATIONS.get(role):
            page.triples.add((0, relation, index))
        if role in _OF_SPORT and "sport" in placed:
            page.triples.add((index, "P641", placed["sport"]))
