"""Surface forms as keys: how a name is normalised and cut into words."""

import functools
import re
import unicodedata

from relik.text import DIVIDED, WRAPPED

_ASCII_TOKEN = re.compile(rf"[0-9A-Za-z]+(?:{WRAPPED}[0-9A-Za-z]+)*")
_DIVISION = re.compile(DIVIDED)
# "J. Smith", "D'Artagnan", "X-ray", "R&D", "C#".
_JOINTS = frozenset(".'\u2019-\u2010\u2011&#/_")
# Combining marks of every script lie here; beyond are only ideographs and their variants.
_FIRST_MARK, _LAST_MARK = 0x300, 0x1FFFF


def tokenise_surface(text: str) -> list[tuple[str, int, int]]:
    """Cut a text into normalised words, with offsets into the text as it was given.

    A word is a run of letters, digits and the marks that combine with them. Everything else
    parts words: "U.S." has the words u and s. A word that is divided at the end of a line is one,
    and so is one with soft hyphens. Each word is normalised on its own, so that
    offsets stay right where normalisation changes a length.

    Args:
        text: Any text.

    Returns:
        For each word its normalised form, its first code point, and one past its last.
    """
    if text.isascii():
        return [
            (_whole(match.group()).lower(), match.start(), match.end())
            for match in _ASCII_TOKEN.finditer(text)
        ]
    return [
        (_folded(_whole(match.group())), match.start(), match.end())
        for match in _token().finditer(text)
    ]


def normalise(surface: str) -> str:
    """Turn a surface form into the key that it is stored and looked up by.

    Args:
        surface: A name as it is written.

    Returns:
        Its normalised words joined by single spaces; empty if it has none.
    """
    return " ".join(token for token, _, _ in tokenise_surface(surface))


def is_cased(surface: str) -> bool:
    """Tell whether a surface form is written with a capital or a digit.

    Args:
        surface: A name as it is written.

    Returns:
        True if so.
    """
    return any(char.isupper() or char.isdigit() for char in surface)


def is_joined(text: str, start: int, end: int) -> bool:
    """Tell whether a letter is not by itself: an initial, or the s of "Ada's".

    Args:
        text: Any text.
        start: Code point of the letter.
        end: One past it.

    Returns:
        True where a full stop, an apostrophe, a hyphen or the like touches it.
    """
    return text[end : end + 1] in _JOINTS or (start > 0 and text[start - 1] in _JOINTS)


def _whole(word: str) -> str:
    return word if word.isalnum() else _DIVISION.sub("", word)


def _folded(token: str) -> str:
    if token.isascii():
        return token.lower()
    # Folding case can undo composition, so the result is composed once more.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", token).casefold())


@functools.cache
def _token() -> re.Pattern[str]:
    """Compile the pattern of a word; on first use, since `re` has no class for marks."""
    marks = "".join(
        chr(point)
        for point in range(_FIRST_MARK, _LAST_MARK + 1)
        if unicodedata.category(chr(point)).startswith("M")
    )
    part = rf"[^\W_](?:[^\W_]|[{marks}])*"
    return re.compile(rf"{part}(?:{DIVIDED}{part})*")
