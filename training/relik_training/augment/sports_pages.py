"""Synthetic sports pages from records of a knowledge base: results, tables and reports.

Newspapers call a team by its town or country, far more often than an encyclopedia links one:
"England" is a team in a table, and a country in brackets after a name. In these windows every name
is labelled. Teams, people and results are random: only the names are real.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relik.names.normalise import normalise
from relik.names.trie import PARTIAL
from relik_training.augment.made_page import MadePage, draw_one, sample
from relik_training.augment.other_names import OtherNames
from relik_training.data.examples import Example
from relik_training.data.knowledge_records import Records

_SPORTS = {
    "american football": r"American football|\bNFL\b",
    "baseball": r"baseball",
    "basketball": r"basketball",
    "ice hockey": r"hockey",
    "cricket": r"cricket",
    "rugby": r"rugby",
    "football": r"football|soccer",
}
_ALONE = r"tennis|cyclist|cycling|golfer|swimmer|boxer|racing driver|runner|sprinter|skier|athlete"
_NATIONAL = re.compile(r"\bnational\b.*\bteam\b")
_OTHERS = re.compile(r"women|under-\d+|youth|junior|reserve", re.IGNORECASE)
# Minimum size of a league or sport: a reader would memorise a smaller one.
_MIN_RECORDS = 12
_WORDS = 44
_BEAT = ("beat", "defeated", "edged", "lost to", "drew with", "held", "thrashed", "overcame")
_REPORTS = (
    "{a} beat {b} {score} on {day} .",
    "{a} dominated the match but could not break down {b} .",
    "{p} scored twice for {a} in the second half .",
    "{a} coach {p} said his side had been unlucky .",
    "{p} put {b} ahead in the {minute}th minute .",
    "{b} , who had won at {a} in March , were never in the game .",
    "{s} was replaced after the break with a knee injury .",
    "{a} play {b} again on {day} .",
    "The {a} captain , {p} , missed a penalty .",
    '" We need him , " {s} said of the former {b} player .',
    "{a} are top of the table , three points ahead of {b} .",
    "In {city} , {a} won {score} against {b} .",
    "{p} of {a} was named player of the month .",
    "{a} have signed {p} from {b} for an undisclosed fee .",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class _Cast:
    """The entities of a page, each with its surface form."""

    teams: Sequence[tuple[str, str]]
    people: Sequence[tuple[str, str]]
    countries: Sequence[tuple[str, str]]
    cities: Sequence[tuple[str, str]]


class SportsPages:
    """Draws windows of sports pages."""

    def __init__(self, rows: Sequence[dict[str, Any]], records: Records, names: OtherNames) -> None:
        self._names = names
        self._records = records
        self._leagues = self._by_league(rows)
        self._people = self._by_sport(rows)
        self._countries = self._lands()
        self._cities = [
            (row["id"], row["name"])
            for row in rows
            if "place" in row.get("types", ())
            and re.search(r"\b(?:capital|city)\b", row.get("description") or "")
            and row["name"].isascii()
        ]

    @property
    def possible(self) -> bool:
        """Tell whether the knowledge base has enough teams, people, countries and cities."""
        return bool(self._leagues and self._people and self._countries and self._cities)

    def window(self, number: int, *, seed: int) -> Example:
        """Draw a window, in which every name is labelled.

        Args:
            number: Number of the window; with the seed, it determines the result.
        """
        rng = np.random.default_rng([seed, 71, number])
        page = MadePage(capitals=rng.random() < 0.2)
        kinds = (_results, _table, _fixtures, _report, _report, _scorers, _field, _duels)
        cast = self._cast(rng)
        if rng.random() < 0.3:
            page.name(*draw_one(cast.cities, rng))
            page.say(draw_one((" 1997-05-11\n", " : ", " , Oct 12 - ", "\n"), rng))
        while len(page.text.split()) < _WORDS:
            draw_one(kinds, rng)(page, cast, rng)
        return page.example(f"sports-page-{number}", relations="none")

    def _cast(self, rng: np.random.Generator) -> _Cast:
        national = [held for held in self._leagues if self._is_national(held[1])]
        sport, league = draw_one(
            national if national and rng.random() < 0.3 else self._leagues, rng
        )
        people = self._people.get(sport) or draw_one(list(self._people.values()), rng)
        if rng.random() < 0.3:
            people = self._people.get("alone", people)
        return _Cast(
            teams=[self._called(team, rng) for team in sample(league, 12, rng)],
            people=sample(people, 12, rng),
            countries=sample(self._countries, 12, rng),
            cities=sample(self._cities, 4, rng),
        )

    def _called(self, team: tuple[str, str], rng: np.random.Generator) -> tuple[str, str]:
        """Draw a surface form of a team: mostly its town or country, else nickname or full name."""
        entity_id, _ = team
        draw, name = rng.random(), self._names.name(entity_id)
        if draw < 0.72 or _NATIONAL.search(name):
            return team
        shorter = self._names.shorter(entity_id, name)
        return entity_id, draw_one(shorter, rng) if shorter and draw < 0.92 else name

    def _is_national(self, league: Sequence[tuple[str, str]]) -> bool:
        return bool(_NATIONAL.search(self._names.name(league[0][0])))

    def _by_league(self, rows: Sequence[dict[str, Any]]) -> list[tuple[str, list[tuple[str, str]]]]:
        """Group teams into leagues by sport and country; of one town there is at most one team."""
        held: defaultdict[tuple[str, str], dict[str, list[str]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for row in rows:
            description = f"{row['name']} {row.get('description') or ''}"
            sport = _sport(description)
            places = self._names.places(row["id"]) if sport else ()
            if sport is None or not places or _OTHERS.search(description):
                continue
            national = bool(_NATIONAL.search(row["name"]))
            where = "*" if national else _country(row.get("description") or "")
            held[sport, where][places[0]].append(row["id"])
        leagues = []
        for (sport, _), towns in sorted(held.items()):
            unambiguous = [(ids[0], town) for town, ids in towns.items() if len(ids) == 1]
            if len(unambiguous) >= _MIN_RECORDS:
                leagues.append((sport, unambiguous))
        return leagues

    def _by_sport(self, rows: Sequence[dict[str, Any]]) -> dict[str, list[tuple[str, str]]]:
        people: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for row in rows:
            if "person" not in row.get("types", ()) or len(row["name"].split()) != 2:
                continue
            description = row.get("description") or ""
            sport = "alone" if re.search(_ALONE, description) else _sport(description)
            if sport and re.search(r"[a-z]er\b|\bathlete|cyclist", description):
                people[sport].append((row["id"], row["name"]))
        return {sport: found for sport, found in people.items() if len(found) >= _MIN_RECORDS}

    def _lands(self) -> list[tuple[str, str]]:
        """Return the countries that have national teams."""
        found: dict[str, str] = {}
        for _, league in self._leagues:
            for entity_id, town in league:
                if _NATIONAL.search(self._names.name(entity_id)):
                    for match in self._records.lookup(normalise(town)):
                        entity = self._records.entities[match.row]
                        if not match.flags & PARTIAL and "place" in entity.types:
                            found.setdefault(town, entity.entity_id)
        return [(entity_id, town) for town, entity_id in sorted(found.items())]


def _results(page: MadePage, cast: _Cast, rng: np.random.Generator) -> None:
    style = int(rng.integers(4))
    for a, b in zip(cast.teams[0:8:2], cast.teams[1:8:2], strict=False):
        m, n = _goals(rng), _goals(rng)
        page.name(*a)
        page.say((f" {m} ", f" {m} , ", f" {draw_one(_BEAT, rng)} ", f" {m}\n")[style])
        page.name(*b)
        page.say((f" {n}\n", f" {n} ; ", f" {m}-{n} .\n", f" {n}\n")[style])


def _table(page: MadePage, cast: _Cast, rng: np.random.Generator) -> None:
    columns = int(rng.integers(3, 8))
    for team in cast.teams[: int(rng.integers(4, 10))]:
        page.name(*team)
        page.say(" " + " ".join(str(_goals(rng) * 3) for _ in range(columns)) + "\n")


def _fixtures(page: MadePage, cast: _Cast, rng: np.random.Generator) -> None:
    between = draw_one((" at ", " v ", " vs. ", " - "), rng)
    for a, b in zip(cast.teams[0:8:2], cast.teams[1:8:2], strict=False):
        page.name(*a)
        page.say(between)
        page.name(*b)
        page.say("\n")


def _report(page: MadePage, cast: _Cast, rng: np.random.Generator) -> None:
    a, b = sample(cast.teams, 2, rng)
    person, other = sample(cast.people, 2, rng)
    full = rng.random() < 0.6
    roles = {
        "a": a,
        "b": b,
        "p": person,
        "s": (other[0], other[1] if full else other[1].split()[-1]),
        "city": draw_one(cast.cities, rng),
    }
    score, minute = f"{_goals(rng)}-{_goals(rng)}", str(int(rng.integers(4, 90)))
    plain = {"score": score, "minute": minute, "day": draw_one(_DAYS, rng)}
    for piece in re.split(r"(\{\w+\})", draw_one(_REPORTS, rng)):
        key = piece.strip("{}")
        if piece.startswith("{") and key in roles:
            page.name(*roles[key])
        else:
            page.say(plain.get(key, piece) if piece.startswith("{") else piece)
    page.say(" ")


def _scorers(page: MadePage, cast: _Cast, rng: np.random.Generator) -> None:
    page.name(*draw_one(cast.teams, rng))
    page.say(draw_one((" : ", " - ", " scorers : "), rng))
    for person in sample(cast.people, 3, rng):
        page.name(person[0], person[1] if rng.random() < 0.7 else person[1].split()[-1])
        minute = draw_one((" ( {}th minute ) , ", " {} , ", " ( {}th ) , "), rng)
        page.say(minute.format(_goals(rng) * 9 + 4))
    page.say("\n")


def _field(page: MadePage, cast: _Cast, rng: np.random.Generator) -> None:
    for rank, person in enumerate(cast.people[:5], start=1):
        page.say(f"{rank}. ")
        page.name(*person)
        page.say(" ( ")
        page.name(*draw_one(cast.countries, rng))
        page.say(f" ) {_goals(rng) + 1}:{int(rng.integers(10, 60))}.{int(rng.integers(10))}\n")


def _duels(page: MadePage, cast: _Cast, rng: np.random.Generator) -> None:
    for a, b in zip(cast.people[0:4:2], cast.people[1:4:2], strict=False):
        for person, after in ((a, f" ) {draw_one(_BEAT, rng)} "), (b, " ) 6-4 3-6 6-1\n")):
            page.name(*person)
            page.say(" ( ")
            page.name(*draw_one(cast.countries, rng))
            page.say(after)


def _sport(description: str) -> str | None:
    return next((sport for sport, sign in _SPORTS.items() if re.search(sign, description)), None)


def _country(description: str) -> str:
    """Return the last place in a description, or the demonym that it begins with."""
    place = re.search(r"\bin (?:[^,]+, )*(?P<last>[A-Z][\w ]+)$", description)
    first = re.match(r"(?:professional )?(?P<first>[A-Z]\w+)", description)
    return place["last"] if place else (first["first"] if first else "")


def _goals(rng: np.random.Generator) -> int:
    return int(rng.integers(6))
