"""What those who practise a sport are called, by which a text often names the sport itself.

Hyperlinked encyclopedias link "footballer" to the sport, and statements say of a footballer that
the sport is association football. Names of sports and of their practitioners are plain English.
"""

import re
from collections.abc import Mapping

PRACTITIONERS: Mapping[str, tuple[str, ...]] = {
    "association football": ("footballer", "football player", "soccer player"),
    "American football": ("American football player",),
    "Australian rules football": ("Australian rules footballer",),
    "alpine skiing": ("alpine skier",),
    "archery": ("archer",),
    "athletics": ("athlete",),
    "auto racing": ("racing driver",),
    "badminton": ("badminton player",),
    "baseball": ("baseball player",),
    "basketball": ("basketball player",),
    "biathlon": ("biathlete",),
    "bobsleigh": ("bobsledder",),
    "boxing": ("boxer",),
    "chess": ("chess player",),
    "cricket": ("cricketer",),
    "cross-country skiing": ("cross-country skier",),
    "curling": ("curler",),
    "cycle sport": ("cyclist",),
    "diving": ("diver",),
    "fencing": ("fencer",),
    "field hockey": ("field hockey player",),
    "figure skating": ("figure skater",),
    "golf": ("golfer",),
    "gymnastics": ("gymnast",),
    "handball": ("handball player", "handballer"),
    "ice hockey": ("ice hockey player",),
    "judo": ("judoka",),
    "lacrosse": ("lacrosse player",),
    "polo": ("polo player",),
    "professional wrestling": ("professional wrestler",),
    "rowing": ("rower",),
    "rugby league": ("rugby league player",),
    "rugby union": ("rugby union player",),
    "shooting sport": ("sport shooter", "sports shooter"),
    "ski jumping": ("ski jumper",),
    "speed skating": ("speed skater",),
    "swimming": ("swimmer",),
    "table tennis": ("table tennis player",),
    "taekwondo": ("taekwondo athlete",),
    "tennis": ("tennis player",),
    "track and field": ("track and field athlete",),
    "triathlon": ("triathlete",),
    "volleyball": ("volleyball player",),
    "water polo": ("water polo player",),
    "wrestling": ("wrestler",),
}
"""Names of sports, and what those are called who practise them."""

_PLAYER = re.compile(r" (?:player|athlete)$")

_SPORT = re.compile(
    r"\b(?:sports?|game|martial arts?|skiing|skating|football|athletics|racing|physical)\b"
)
_WORK = re.compile(r"\b(?:video|film|album|song|novel)\b")
_BY_NAME = {name.casefold(): forms for name, forms in PRACTITIONERS.items()}


def practitioners(name: str, types: tuple[str, ...], description: str) -> tuple[str, ...]:
    """Give what those who practise a sport are called.

    Args:
        name: Name of a record.
        types: Its coarse types; a place or a person is no sport.
        description: Its description, which says that it is one.

    Returns:
        Forms besides the name; none for what is no sport of the list.
    """
    forms = _BY_NAME.get(name.casefold(), ())
    if not forms or {"place", "person"} & {*types} or not is_sport(description):
        return ()
    named = dict.fromkeys(map(named_by, forms))
    return tuple(form for form in named if form.casefold() != name.casefold())


def named_by(form: str) -> str:
    """Give the part of what somebody is called that names the sport.

    Args:
        form: What who practises it is called.

    Returns:
        What stands before "player" or "athlete", else all of it.
    """
    return _PLAYER.sub("", form)


def is_sport(description: str) -> bool:
    """Tell whether a description is that of a sport.

    Args:
        description: Description of a record.

    Returns:
        True if it says so.
    """
    return _SPORT.search(description) is not None and _WORK.search(description) is None
