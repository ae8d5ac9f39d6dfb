"""The trie from normalised names to the records that have them."""

from enum import IntEnum
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

DERIVED = 64
"""Flag: the name is an adjective, or a word for people, formed from a name of the record."""

MATCH_FORMAT = "<IHB"
MAX_COUNT = 0xFFFF

_KIND_SHIFT = 3
_KIND_BITS = 0b111 << _KIND_SHIFT


class Kind(IntEnum):
    """How a surface form is a name of a record."""

    UNKNOWN = 0
    """An alias of an index that does not say of which kind its aliases are."""
    EXACT = 1
    """The record's name, or an alias of its source."""
    INFLECTED = 2
    """A plural, an adjective, or a word for people: formed from a name."""
    PARTIAL = 3
    """A part of a name, such as a surname."""
    ACRONYM = 4
    """The initials of a name."""
    FOLDED = 5
    """A name in another case or spelling, or its words in another order."""


def with_kind(flags: int, kind: Kind) -> int:
    """Put the kind of a name in its flags."""
    return flags & ~_KIND_BITS | kind << _KIND_SHIFT


def _kind_of(flags: int) -> Kind:
    if stored := flags & _KIND_BITS:
        known = stored >> _KIND_SHIFT
        return Kind(known) if known in set(Kind) else Kind.UNKNOWN
    if flags & PARTIAL:
        return Kind.PARTIAL
    return Kind.EXACT if flags & PRIMARY else Kind.UNKNOWN


KINDS = tuple(map(_kind_of, range(256)))
"""The kind of a name by its flags; of an old index only preferred names and parts are known."""


class NameMatch(NamedTuple):
    """A record that has a name.

    Args:
        row: Row in the knowledge base.
        count: How often the name meant this record, capped at 65535; 0 where unknown.
        flags: `CASED`, `PARTIAL`, `PRIMARY` and `DERIVED`, added up, and the kind of the name.
    """

    row: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks of a match
    flags: int


class Names(Protocol):
    """What is asked of a name trie."""

    def lookup(self, key: str) -> list[NameMatch]:
        """Return the records that have a normalised name, the most frequent first."""

    def has_prefix(self, prefix: str) -> bool:
        """Tell whether some normalised name begins so."""

    def continuations(self, prefix: str) -> list[str]:
        """Return what follows a prefix in the keys that begin with it, sorted."""


class NameTrie:
    """Normalised names, memory-mapped, and the records that have them.

    Args:
        trie: A `marisa_trie.RecordTrie` of `MATCH_FORMAT`.
    """

    def __init__(self, trie: marisa_trie.RecordTrie) -> None:
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
        ranked = sorted([(-count, row, flags) for row, count, flags in found])
        return [NameMatch(row, -count, flags) for count, row, flags in ranked]

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
