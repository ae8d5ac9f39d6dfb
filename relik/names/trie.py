"""The trie from normalised names to the records that have them."""

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


def _most_frequent_first(item: tuple[int, int, int]) -> tuple[int, int]:
    return -item[1], item[0]
