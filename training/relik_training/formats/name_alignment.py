"""Alignment of entity names with a text that writes them differently, as in WebNLG."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from relik_training.formats.addresses import plain_title

_QUOTED = re.compile(r'^"(.*)"(?:@\w+|\^\^\S+)?$')
_QUALIFIER = re.compile(r"(?: ?\([^()]*\)|, .*)$")
_ZEROS = re.compile(r"(?<=\d)\.0+$")


def align(text: str, names: Iterable[str]) -> dict[str, tuple[int, int] | None]:
    """Find names in a text, regardless of case, accents, punctuation and underscores.

    Longer names are placed first; a shorter name avoids their spans if it can. The text may omit
    a qualifier such as `(mascot)` or `, Texas`.

    Args:
        names: Names as WebNLG writes them: `Aarhus_Airport`, `"a literal"@en`, `2776.0`.

    Returns:
        Start and end of each name in code points, in order of first occurrence; None for a name
        that is not in the text.
    """
    words = _words(text)
    found: dict[str, tuple[int, int] | None] = dict.fromkeys(names)
    taken_spans: list[tuple[int, int]] = []
    for name in sorted(found, key=lambda name: -len(_words(name))):
        spans = next(filter(None, (_places(words, form) for form in _forms(name))), [])
        free = [span for span in spans if all(span[1] <= s or e <= span[0] for s, e in taken_spans)]
        if spans:
            found[name] = (free or spans)[0]
            taken_spans.append((free or spans)[0])
    return found


def _forms(name: str) -> Iterator[list[str]]:
    plain = plain_title(_QUOTED.sub(r"\1", name))
    for form in (plain, _QUALIFIER.sub("", plain), _ZEROS.sub("", plain)):
        yield [word for word, _, _ in _words(form)]


def _places(words: list[tuple[str, int, int]], name: list[str]) -> list[tuple[int, int]]:
    if not name:
        return []
    return [
        (words[at][1], words[at + len(name) - 1][2])
        for at in range(len(words) - len(name) + 1)
        if all(words[at + i][0] == word for i, word in enumerate(name))
    ]


def _words(text: str) -> list[tuple[str, int, int]]:
    """Split a text into words of letters, digits and marks, folded, with their offsets."""
    words, start = [], None
    for index, character in enumerate(f"{text} "):
        inside = character.isalnum() or (start is not None and unicodedata.combining(character))
        if inside and start is None:
            start = index
        elif not inside and start is not None:
            words.append((_folded(text[start:index]), start, index))
            start = None
    return words


def _folded(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))
