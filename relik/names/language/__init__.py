"""Rules and words of languages: a data file for each, read once."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import NamedTuple

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
    forms, variants, sports = (content[key] for key in ("inflections", "variants", "sports"))
    demonyms, believers = _lists(content["demonyms"]), _lists(content["believers"])
    words, organisations = content["wordings"], content["organisations"]
    return Language(
        code=code,
        shortest_stem=forms["shortest_stem"],
        plurals=_endings(forms["plurals"]),
        of_places=_endings(forms["of_places"]),
        of_terms=_endings(forms["of_terms"]),
        demonyms=demonyms,
        believers=believers,
        origin_of={
            form: origin
            for origin, formed in (*demonyms.items(), *believers.items())
            for form in formed
        },
        unsaid=frozenset(variants["unsaid"]),
        joining=frozenset(variants["joining"]),
        spellings=_endings(variants["spellings"]),
        endings=_endings(variants["endings"]),
        no_plurals=tuple(variants["no_plurals"]),
        practitioners=_lists(content["practitioners"]),
        players=tuple(sports["players"]),
        sports=tuple(sports["words"]),
        works=tuple(sports["works"]),
        states=tuple(words["states"]),
        articles=tuple(words["articles"]),
        languages=tuple(words["languages"]),
        months=tuple(words["months"]),
        ordinals=tuple(words["ordinals"]),
        ordinal_ending=words["ordinal_ending"],
        first_ordinal_endings=tuple(words["first_ordinal_endings"]),
        tails=tuple(organisations["tails"]),
        teams=tuple(organisations["teams"]),
        national_team=organisations["national_team"],
    )


def _endings(pairs: list[list[str]]) -> Endings:
    of_forms, of_names = zip(*pairs, strict=True)
    return Endings(of_forms, of_names)


def _lists(content: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(words) for key, words in content.items()}
