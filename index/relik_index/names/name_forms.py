"""Other forms of one name: lower case, letters without marks, events without years, initials.

Wikipedia's titles begin with a capital whatever they name, newswire has no marks on letters, one
edition of a cup is called by the name of the cup, and parties are called by their initials.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from relik.names.language import Language, open_language

_WORD = re.compile(r"[^\W\d_]+(?:[-'][^\W\d_]+)*")
# A name that is one of these types is a proper one, whatever its description says.
_PROPER = frozenset({"person", "place", "organisation", "work", "event"})
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})
# Letters that Unicode takes apart into nothing simpler.
_LETTERS = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ß": "ss", "æ": "ae"}
    | {"\u0131": "i"}
)
_EDITION = re.compile(r"(?P<years>(?:1[5-9]|20)\d\d(?:[-\u2013/]\d{2,4})?) (?P<rest>.*\w)")
_ACRONYM = re.compile(r"[A-Z]{3,6} (?=[A-Z])")
_FEWEST_INITIALS, _MOST_INITIALS = 3, 6
_YEAR_BEHIND = re.compile(r"(?P<rest>.*\w),? (?:1[5-9]|20)\d\d")


def any_word(words: Iterable[str]) -> re.Pattern[str]:
    """Compile what finds one of some words; without any it finds nothing."""
    found = "|".join(map(re.escape, words))
    return re.compile(rf"\b(?:{found})\b" if found else r"(?!)")


def common_name(
    name: str, types: Iterable[str], description: str, language: Language
) -> str | None:
    """Give the lower-case form of a name that a source writes with a capital out of habit.

    Args:
        name: Name of a record.
        types: Its coarse types; a person, a place or a work has a proper name.
        description: Its description, maybe a whole sentence.
        language: Language of both.

    Returns:
        The name in lower case if the record is no proper name: its later words have no capital, or
        its description uses it in lower case, or defines it by its first word; else None.
    """
    words = name.split()
    first = words[0] if words else ""
    if not first[:1].isupper() or not all(_WORD.fullmatch(word) for word in words):
        return None
    if any(letter.isupper() for letter in name[1:]) or _PROPER & set(types):
        return None
    lower = name.lower()
    if len(words) > 1:
        return lower
    forms = (lower, *(lower + ending for ending in language.plurals.of_forms))
    if any_word(forms).search(description):
        return lower
    defines = re.match(rf"{re.escape(name)} (?:\([^)]*\) )?[a-z]", description)
    return lower if defines else None


def short_state(name: str, language: Language) -> str | None:
    """Give what a state is called without its form of government: State of Palestine, Palestine.

    Args:
        name: Name of a record.
        language: Its language.

    Returns:
        The last part of such a name, else None.
    """
    found = _wordings(language.code).state.fullmatch(name)
    return found["rest"] if found else None


def plain_spellings(name: str) -> tuple[str, ...]:
    """Give the forms of a name in letters without marks.

    Args:
        name: Name of a record.

    Returns:
        Forms that differ from it: marks left out, umlauts written out.
    """
    forms = (_unmarked(name), _unmarked(name.translate(_GERMAN)))
    return tuple(dict.fromkeys(form for form in forms if form != name))


def edition_names(name: str) -> tuple[str, ...]:
    """Give what one edition of a repeated event is called: 1998 FIFA World Cup, World Cup.

    Args:
        name: Name of a record.

    Returns:
        The name without its year, without the organiser, without both; empty if it has no year.
    """
    edition = _EDITION.fullmatch(name)
    if edition is None:
        behind = _YEAR_BEHIND.fullmatch(name)
        return (behind["rest"],) if behind else ()
    years, rest = edition["years"], edition["rest"]
    short = _ACRONYM.sub("", rest, count=1) if _ACRONYM.match(rest) else rest
    forms = (rest, short, f"{years} {short}")
    return tuple(dict.fromkeys(form for form in forms if form != name and len(form.split()) > 1))


def initials(name: str, types: Iterable[str]) -> str | None:
    """Give the initials of a party, a league or another organisation.

    Args:
        name: Name of a record.
        types: Its coarse types.

    Returns:
        First letters of its words with a capital, 3 to 6 of them, or of all where those with a
        capital are fewer; None for what is no organisation and for names that are not words alone.
    """
    words = name.replace("-", " ").split()
    if "organisation" not in types or not all(_WORD.fullmatch(word) for word in words):
        return None
    if any(word.isupper() and len(word) > 1 for word in words):
        return None
    letters = "".join(word[0] for word in words if word[0].isupper())
    if len(letters) < _FEWEST_INITIALS:  # BOJ is the Bank of Japan
        letters = "".join(word[0].upper() for word in words)
    fits = _FEWEST_INITIALS <= len(letters) <= _MOST_INITIALS
    return letters if fits and name[:1].isupper() else None


def other_wordings(name: str, language: Language) -> tuple[str, ...]:
    """Give a day, a number or a language in the other usual wording.

    Args:
        name: Name of a record.
        language: Its language.

    Returns:
        2 April for April 2 and the reverse, 8th for Eighth as a first word and the reverse, Dutch
        for Dutch language; empty for other names.
    """
    wordings = _wordings(language.code)
    day = wordings.day.fullmatch(name)
    if day:
        turned = f"{day['day']} {day['month']}" if day["day"] else f"{day['of']} {day['first']}"
        return (turned,)
    named = wordings.language.fullmatch(name)
    if named:
        return (named["rest"],)
    first, _, rest = name.partition(" ")
    return tuple(f"{other} {rest}" for word, other in wordings.ordinals if rest and word == first)


class _Wordings(NamedTuple):
    """What finds names of a language that have another wording.

    Args:
        state: A state by its form of government.
        language: A language.
        day: A day of a month.
        ordinals: First words and the same as number, and the reverse.
    """

    state: re.Pattern[str]
    language: re.Pattern[str]
    day: re.Pattern[str]
    ordinals: tuple[tuple[str, str], ...]


@cache
def _wordings(code: str) -> _Wordings:
    language = open_language(code)
    states, articles, languages, months = (
        "|".join(map(re.escape, words))
        for words in (language.states, language.articles, language.languages, language.months)
    )
    nothing = r"(?!)(?P<rest>)"
    numbers = range(1, len(language.ordinals) + 1)
    pairs = tuple(zip(language.ordinals, (_numbered(n, language) for n in numbers), strict=True))
    return _Wordings(
        re.compile(
            rf"(?:\w+ )?(?:{states}) (?:(?:{articles}) )?(?P<rest>[A-Z]\w.*)" if states else nothing
        ),
        re.compile(rf"(?P<rest>[A-Z].*\w) (?:{languages})" if languages else nothing),
        re.compile(
            rf"(?P<month>{months}) (?P<day>\d{{1,2}})|(?P<first>\d{{1,2}}) (?P<of>{months})"
            if months
            else nothing
        ),
        (*pairs, *((number, word) for word, number in pairs)),
    )


def _numbered(number: int, language: Language) -> str:
    special = dict(enumerate(language.first_ordinal_endings, start=1))
    return f"{number}{special.get(number, language.ordinal_ending)}"


def _unmarked(name: str) -> str:
    apart = unicodedata.normalize("NFKD", name.translate(_LETTERS))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))
