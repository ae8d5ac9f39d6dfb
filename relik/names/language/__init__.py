"""Rules and words of languages: a data file for each, read once."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, get_type_hints

DEFAULT_LANGUAGE = "en"


class Endings(NamedTuple):
    """How forms end.

    Args:
        of_forms: What is taken from the end of a form.
        of_names: What its name has instead, in the same order.
    """

    of_forms: tuple[str, ...] = ()
    of_names: tuple[str, ...] = ()

    def stems(self, form: str) -> list[str]:
        """Take the endings of a form off; likelier names come first."""
        if not form.endswith(self.of_forms):
            return []
        pairs = zip(self.of_forms, self.of_names, strict=True)
        return [form.removesuffix(old) + new for old, new in pairs if form.endswith(old)]


_NONE = Endings()
_TABLES = ("demonyms", "believers", "practitioners")
"""Fields that are a table of their own in the data file; the rest stand in its sections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """Rules and words of a language; a language without a data file has none.

    Args:
        code: ISO 639, such as "en".
        shortest_stem: The last word of an inflected form has more letters than this.
        plurals: Endings of plurals.
        of_places: Endings of adjectives of places, and of words for their people.
        of_terms: Endings of adjectives of terms.
        demonyms: Place -> adjectives and words for people that follow no rule.
        believers: Faith -> the same.
        origin_of: The same of both, the other way round.
        unsaid: Words that a term may have or lack.
        joining: Words that no other word stands for, and no term begins or ends with.
        spellings: Letters of a word in place of others.
        endings: Endings of words of terms that are reduced to what their forms share.
        no_plurals: Endings in s that are no plurals.
        practitioners: Sport -> what those are called who practise it.
        players: Last words of these that do not name the sport.
        sports: Words of which the description of a sport has one.
        works: Words that it has none of.
        states: What a state is called before its name: "Republic of".
        articles: May stand between these.
        languages: Last words of the name of a language.
        months: From January on.
        ordinals: As words, from the first on.
        ordinal_ending: What stands behind a number as an ordinal.
        first_ordinal_endings: What stands behind 1 and those after it.
        tails: Last words of organisations that news leaves out.
        teams: Words of which the description of a team has one.
        national_team: What follows the country in the name of a team, as a regular expression.
    """

    code: str
    shortest_stem: int = 0
    plurals: Endings = _NONE
    of_places: Endings = _NONE
    of_terms: Endings = _NONE
    demonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    believers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    origin_of: Mapping[str, str] = field(default_factory=dict)
    unsaid: frozenset[str] = frozenset()
    joining: frozenset[str] = frozenset()
    spellings: Endings = _NONE
    endings: Endings = _NONE
    no_plurals: tuple[str, ...] = ()
    practitioners: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    players: tuple[str, ...] = ()
    sports: tuple[str, ...] = ()
    works: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    articles: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    months: tuple[str, ...] = ()
    ordinals: tuple[str, ...] = ()
    ordinal_ending: str = ""
    first_ordinal_endings: tuple[str, ...] = ()
    tails: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    national_team: str = ""


@cache
def open_language(code: str) -> Language:
    """Read the data file of a language.

    Args:
        code: ISO 639, such as "en".

    Returns:
        Its rules; none where there is no file for it.
    """
    file = files(__name__) / f"{code}.toml"
    if not code.isalpha() or not file.is_file():
        return Language(code=code)
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    tables: dict[str, Any] = {name: _lists(content.pop(name)) for name in _TABLES}
    kinds = get_type_hints(Language)
    settings: dict[str, Any] = {
        name: _endings(value) if kinds[name] is Endings else kinds[name](value)
        for section in content.values()
        for name, value in section.items()
    }
    origin_of = {
        form: origin
        for name in ("demonyms", "believers")
        for origin, formed in tables[name].items()
        for form in formed
    }
    return Language(code=code, origin_of=origin_of, **tables, **settings)


def _endings(pairs: list[list[str]]) -> Endings:
    of_forms, of_names = zip(*pairs, strict=True)
    return Endings(of_forms, of_names)


def _lists(content: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(words) for key, words in content.items()}
