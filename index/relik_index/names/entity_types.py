"""Coarse types of entities, from Wikidata statements and from their short descriptions.

Statements are certain where they exist; descriptions cover the rest. Both are facts, so a
bundle may ship the result.
"""

import re
from collections.abc import Iterable

from relik.names.language import Language
from relik_index.names.name_forms import any_word, short_state

_BY_SUBJECT_OF = {
    "person": {"P106", "P27", "P19", "P20", "P21", "P69", "P735", "P54", "P413", "P102", "P166"},
    "place": {"P47", "P190", "P421", "P1376", "P150", "P36", "P30", "P206", "P4552"},
    "organisation": {"P159", "P452", "P112", "P1056", "P355", "P169", "P118"},
    "work": {"P161", "P57", "P58", "P86", "P364", "P750", "P840", "P50", "P462", "P175"},
    "event": {"P1346", "P1923", "P710", "P664", "P1344"},
}

_BY_WORD = {
    "person": (
        "politician actor actress singer songwriter writer novelist poet player footballer "
        "cricketer author journalist composer musician painter architect philosopher physicist "
        "chemist mathematician scientist economist historian lawyer judge general officer king "
        "queen emperor president minister senator bishop saint pope director producer model "
        "athlete swimmer boxer wrestler cyclist skier racer driver coach manager businessman "
        "businesswoman entrepreneur engineer inventor explorer astronaut astronomer biologist "
        "physician dancer comedian presenter sculptor photographer theologian activist diplomat "
        "princess prince rapper guitarist drummer pianist conductor screenwriter sportsperson "
        "programmer linguist psychologist sociologist noble nobleman jurist critic soldier "
        "quarterback pitcher golfer sprinter chef filmmaker playwright artist"
    ),
    "place": (
        "city town village commune municipality comune country state province county region "
        "district capital island river lake mountain sea ocean continent territory borough "
        "suburb neighborhood neighbourhood prefecture department settlement peninsula bay valley "
        "desert airport street building stadium bridge park canton archipelago"
    ),
    "organisation": (
        "company club team organization organisation party university college school agency band "
        "newspaper bank airline corporation institution church ministry union association league "
        "brand chain manufacturer publisher broadcaster museum orchestra franchise retailer army "
        "group duo government parliament"
    ),
    "work": (
        "film album song novel book series game play opera painting poem magazine musical episode "
        "single sitcom software website symphony manga anime video"
    ),
    "event": (
        "war battle election championship tournament olympics festival edition season conflict "
        "revolution treaty disaster attack earthquake hurricane award prize competition ceremony"
    ),
    "product": "car aircraft automobile language ship missile rifle locomotive console smartphone",
}
_TYPE_OF_WORD = {word: kind for kind, words in _BY_WORD.items() for word in words.split()}
_BOUNDARY = re.compile(
    r"\b(?:in|of|by|from|for|at|on|located|based|who|which|that|located|playing)\b|[,(;]"
)
_LIFE = re.compile(r"\((?:born|b\.|c\.)?\s*\d{3,4}|\bborn\b")


def coarse_types(properties: Iterable[str], description: str) -> tuple[str, ...]:
    """Give the coarse type of an entity.

    Args:
        properties: Wikidata properties of which it is the subject.
        description: Its short description; may be empty.

    Returns:
        One of person, place, organisation, work, event, product; empty if nothing tells.
    """
    head = _BOUNDARY.split(description.casefold(), maxsplit=1)[0]
    words = re.findall(r"[a-z]+", head)
    for word in reversed(words):
        kind = _TYPE_OF_WORD.get(word) or _TYPE_OF_WORD.get(word.removesuffix("s"))
        if kind:
            return (kind,)
    if _LIFE.search(description):
        return ("person",)
    found = set(properties)
    for kind, signs in _BY_SUBJECT_OF.items():
        if found & signs:
            return (kind,)
    return ()


_CLUB_CODE = re.compile(r"(?:[A-Z]{1,4}|(?:[A-Z]\.){1,4}|\d+)\Z")
_SUFFIXES = {"jr", "jr.", "sr", "sr.", "i", "ii", "iii", "iv", "v", "vi"}


def country_of_team(name: str, language: Language) -> str | None:
    """Give what a national team is called in a table of results: its country."""
    if not language.national_team:
        return None
    national = re.fullmatch(f"(.+?){language.national_team}", name, re.IGNORECASE)
    return national.group(1) if national else None


def _without_tail(name: str, language: Language) -> str:
    """Leave out the legal form or the kind of an organisation at the end of its name."""
    tails = "|".join(map(re.escape, language.tails))
    return re.sub(rf"\s+(?:{tails})\.?$", "", name, flags=re.IGNORECASE) if tails else name


def _team_parts(name: str, language: Language) -> list[str]:
    """Give the town and the nickname of a team: each leading and trailing run of its words."""
    country = country_of_team(name, language)
    if country is not None:
        return [country, *(short for short in (short_state(country, language),) if short)]
    words = _without_tail(name, language).split()
    core = [word for word in words if not _CLUB_CODE.match(word)]
    if not 1 <= len(core) <= 4:
        return []
    parts = [" ".join(core)]
    for cut in range(1, len(core)):
        parts += [" ".join(core[:cut]), " ".join(core[cut:])]
    return parts


def partial_names(
    name: str, types: Iterable[str], description: str, language: Language
) -> tuple[str, ...]:
    """Give the parts of a name by which news refers to an entity after its first mention.

    Surnames of people, towns without their state, companies and clubs without their legal form,
    nicknames and towns of teams, countries of national teams.

    Args:
        name: Full name.
        types: Coarse types of the entity.
        description: Its short description.
        language: Language of both.

    Returns:
        Parts in a fixed order, without the name itself; often empty.
    """
    words = name.split()
    parts: list[str] = []
    bare = re.split(r",| \(", name, maxsplit=1)[0].strip()
    parts.append(bare)
    if "person" in types and 2 <= len(words) <= 4:
        tail = [word for word in words if word.casefold() not in _SUFFIXES]
        parts.append(tail[-1].strip(","))
    if any_word(language.teams).search(description.casefold()):
        parts.extend(_team_parts(name, language))
    elif "organisation" in types:
        parts.append(_without_tail(name, language))
    seen = {name.casefold()}
    kept = []
    for part in parts:
        if len(part) > 2 and part.casefold() not in seen and part[0].isupper():
            seen.add(part.casefold())
            kept.append(part)
    return tuple(kept)


_DATE = re.compile(
    r"(?:\d[\d\W]*s?|(?:\d{1,2} )?(?:January|February|March|April|May|June|July|August|September|"
    r"October|November|December)(?: \d{1,2})?(?:,? \d{4})?|\d+(?:st|nd|rd|th) century)",
)


def is_date(name: str) -> bool:
    """Tell whether a name is a number, a year, a day or a month: no entity of news.

    Args:
        name: Name or surface form.

    Returns:
        True if so.
    """
    return _DATE.fullmatch(name) is not None
