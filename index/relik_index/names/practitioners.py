"""What those who practise a sport are called, by which a text often names the sport itself.

Hyperlinked encyclopedias link "footballer" to the sport, and statements say of a footballer that
the sport is association football. Names of sports and of their practitioners are plain words of a
language.
"""

import re
from functools import cache

from relik.names.language import Language, open_language
from relik_index.names.name_forms import any_word


def practitioners(
    name: str, types: tuple[str, ...], description: str, language: Language
) -> tuple[str, ...]:
    """Give what those who practise a sport are called.

    Args:
        name: Name of a record.
        types: Its coarse types; a place or a person is no sport.
        description: Its description, which says that it is one.
        language: Language of the names.

    Returns:
        Forms besides the name; none for what is no sport of the list.
    """
    forms = _by_name(language.code).get(name.casefold(), ())
    if not forms or {"place", "person"} & {*types} or not is_sport(description, language):
        return ()
    named = dict.fromkeys(named_by(form, language) for form in forms)
    return tuple(form for form in named if form.casefold() != name.casefold())


def named_by(form: str, language: Language) -> str:
    """Give the part of what somebody is called that names the sport: of "football player"."""
    first, _, last = form.rpartition(" ")
    return first if first and last in language.players else form


def is_sport(description: str, language: Language) -> bool:
    """Tell whether a description is that of a sport."""
    sports, works = _words(language.code)
    return sports.search(description) is not None and works.search(description) is None


@cache
def _by_name(code: str) -> dict[str, tuple[str, ...]]:
    listed = open_language(code).practitioners.items()
    return {name.casefold(): forms for name, forms in listed}


@cache
def _words(code: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    language = open_language(code)
    return any_word(language.sports), any_word(language.works)
