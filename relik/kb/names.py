"""Names as keys: how a surface form is normalised, and the trie from names to records."""

import functools
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import marisa_trie

from relik.errors import BundleCorruptError

CASED = 1
"""Flag: the name is written with a capital or a digit, so lower-case text seldom means it."""
PARTIAL = 2
"""Flag: the name is only a part of the record's names, such as a surname."""
PRIMARY = 4
"""Flag: the name is the record's preferred one."""

MATCH_FORMAT = "<IHB"
MAX_COUNT = 0xFFFF

# How a word goes on after the end of a line: behind a hyphen, where it goes on in lower case.
_WRAPPED = r"-\r?\n[ \t]*(?=[a-z\u00DF-\u00FF])"
# Old newspapers have a sign of their own for it, and web pages a hyphen that is mostly unseen.
_DIVIDED = rf"(?:(?:[\u00AC\u00AD]\s*)+|{_WRAPPED})"
_ASCII_TOKEN = re.compile(rf"[0-9A-Za-z]+(?:{_WRAPPED}[0-9A-Za-z]+)*")
_DIVISION = re.compile(_DIVIDED)
_DIVIDED_WORD = re.compile(rf"(?<=[^\W_]){_DIVIDED}(?=[^\W_])")
_SOFT_HYPHEN = "\u00ad"
# "J. Smith", "D'Artagnan", "X-ray", "R&D", "C#".
_JOINTS = frozenset(".'\u2019-\u2010\u2011&#/_")
# Combining marks of every script lie here; beyond are only ideographs and their variants.
_FIRST_MARK, _LAST_MARK = 0x300, 0x1FFFF


class NameMatch(NamedTuple):
    """A record that has a name.

    Args:
        row: Row in the knowledge base.
        count: How often the name meant this record, capped at 65535; 0 where unknown.
        flags: `CASED`, `PARTIAL` and `PRIMARY`, added up.
    """

    row: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks of a match
    flags: int


class _Trie(Protocol):
    def get(self, key: str) -> list[tuple[int, int, int]] | None: ...

    def iterkeys(self, prefix: str) -> Iterator[str]: ...


class NameTrie:
    """Normalised names, memory-mapped, and the records that have them.

    Args:
        trie: A `marisa_trie.RecordTrie` of `MATCH_FORMAT`.
    """

    def __init__(self, trie: _Trie) -> None:
        self._get = trie.get
        self._iterkeys = trie.iterkeys

    @classmethod
    def open(cls, path: Path) -> "NameTrie":
        """Map a trie that was built.

        Args:
            path: The file.

        Returns:
            The trie.

        Raises:
            BundleCorruptError: The file is missing or is not such a trie.
        """
        try:
            return cls(marisa_trie.RecordTrie(MATCH_FORMAT).mmap(str(path)))
        except (OSError, RuntimeError) as error:
            raise BundleCorruptError(
                f"{path}: is not a trie of names ({error}): fetch or build it again"
            ) from error

    def lookup(self, key: str) -> list[NameMatch]:
        """Return the records that have a name.

        Args:
            key: A normalised name, as `normalise` gives it.

        Returns:
            The most frequent first, ties by row; empty for an unknown name.
        """
        found = self._get(key)
        if not found:
            return []
        if len(found) == 1:
            return [NameMatch._make(found[0])]
        return [NameMatch._make(item) for item in sorted(found, key=_most_frequent_first)]

    def has_prefix(self, prefix: str) -> bool:
        """Tell whether some name begins so.

        Args:
            prefix: Beginning of a normalised name; end it with a space for whole words.

        Returns:
            True if there is one.
        """
        return next(self._iterkeys(prefix), None) is not None

    def continuations(self, prefix: str) -> list[str]:
        """Return what follows a prefix in the keys that begin with it.

        Args:
            prefix: Beginning of a key.

        Returns:
            The rest of each key, sorted.
        """
        return sorted({key.removeprefix(prefix) for key in self._iterkeys(prefix)})


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


def rejoined(text: str) -> str:
    """Join the words that line ends divide, for tokenizers, which take the halves for words.

    Args:
        text: Any text.

    Returns:
        The text, of the same length, so that offsets into it stay right: what divides a word is
        soft hyphens throughout, which tokenizers of BERT's kind leave out.
    """
    if text.isascii() and "-\n" not in text and "-\r" not in text:
        return text
    return _DIVIDED_WORD.sub(lambda found: _SOFT_HYPHEN * len(found.group()), text)


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
    return re.compile(rf"{part}(?:{_DIVIDED}{part})*")


def _most_frequent_first(item: tuple[int, int, int]) -> tuple[int, int]:
    return -item[1], item[0]
