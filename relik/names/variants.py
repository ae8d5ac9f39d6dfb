"""Terms in other words: another order, another spelling, another number, a word of like meaning.

Matchers such as QuickUMLS (Soldaini and Goharian, 2016) find "cancer of the breast" where the list
has "Breast Cancers". Which words mean the same is told by the list itself: many of its records are
called both "Kidney ..." and "Renal ...". An index built for terms keeps both among its names, under
keys that no name has.
"""

from collections.abc import Sequence
from typing import Protocol

from relik.names.trie import NameMatch

VARIANT = "\x1f"
"""What keys of names begin with whose words are reduced and sorted."""
SWAP = "\x1e"
"""What keys begin with that have a reduced word and another one for it."""
KIND = "\x1d"
"""What keys of words begin with that name the kind of very many records: disease."""
HEAD = "\x1c"
"""What keys of words begin with that end the names of many records: disease, tumor."""

_UNSAID = frozenset({"of", "the", "s"})
# No other word stands for these, and no term begins or ends with them.
_JOINING = frozenset(
    {"a", "an", "and", "as", "by", "due", "for", "from", "in", "or", "to", "with", "without"}
)
_SHORTEST = 4
# A shorter word may be what an acronym is in the plural.
_SHORTEST_ALONE = 5
_MOST_SWAPS = 16
# British and American, Greek and Latin, one and many: of words and of the names alike.
_SPELLINGS = (("ae", "e"), ("oe", "e"), ("our", "or"))
_ENDINGS = (
    ("ies", "y"),
    ("itides", "itis"),
    ("omata", "oma"),
    ("ses", "s"),
    ("sis", "s"),
    ("xes", "x"),
    ("ches", "ch"),
    ("se", "s"),
    ("s", ""),
)
_NO_PLURALS = ("ss", "us", "is")


class Names(Protocol):
    """What is asked of a name trie."""

    def lookup(self, key: str) -> list[NameMatch]:
        """Return the records that have a normalised name."""

    def continuations(self, prefix: str) -> list[str]:
        """Return what follows a prefix in the keys that begin with it."""


def reduced(word: str) -> str:
    """Reduce a normalised word to what its spellings and its plural have in common.

    Args:
        word: A normalised word.

    Returns:
        Something that need not be a word.
    """
    if len(word) <= _SHORTEST:
        return word
    for british, american in _SPELLINGS:
        word = word.replace(british, american)
    for ending, base in _ENDINGS:
        if word.endswith(ending):
            plain = ending == "s" and word.endswith(_NO_PLURALS)
            return word if plain else word.removesuffix(ending) + base
    return word


def reduced_words(words: Sequence[str]) -> tuple[str, ...]:
    """Reduce the words of a term and sort them; what only joins them is left out.

    Args:
        words: Normalised words.

    Returns:
        Reduced words, sorted.
    """
    return tuple(sorted(reduced(word) for word in words if word not in _UNSAID))


def variant_key(words: Sequence[str]) -> str:
    """Give the key that a term and its variants share.

    Args:
        words: Reduced words, sorted.

    Returns:
        The key; it is no normalised name.
    """
    return VARIANT + " ".join(words)


def is_content(word: str) -> bool:
    """Tell whether a word means something of its own; what joins words does not.

    Args:
        word: A normalised word.

    Returns:
        True if so.
    """
    return word not in _UNSAID and word not in _JOINING


def is_name(key: str) -> bool:
    """Tell whether a key of the trie is a name, and not one of those kept beside names.

    Args:
        key: A key.

    Returns:
        True if so.
    """
    return key[:1] not in (VARIANT, SWAP, KIND, HEAD)


def variants(names: Names, words: Sequence[str]) -> list[NameMatch]:
    """Find the records that have a name which some words are a variant of.

    Args:
        names: Names of the knowledge base.
        words: Normalised words.

    Returns:
        Matches of names that differ in the order, spelling or number of words; else of those that
        besides have one word of like meaning; empty where there are none.
    """
    mine = reduced_words(words)
    if not mine or (len(mine) == 1 and len(mine[0]) < _SHORTEST_ALONE):
        return []
    found = names.lookup(variant_key(mine))
    if found or len(mine) == 1:
        return found
    best: dict[int, NameMatch] = {}
    for at, word in enumerate(mine):
        for other in names.continuations(f"{SWAP}{word} ")[:_MOST_SWAPS]:
            changed = tuple(sorted((*mine[:at], other, *mine[at + 1 :])))
            best.update({match.row: match for match in names.lookup(variant_key(changed))})
    return [best[row] for row in sorted(best)]


def names_kind(names: Names, word: str) -> bool:
    """Tell whether a word names the kind of very many records, and none of them.

    Args:
        names: Names of the knowledge base.
        word: A normalised word.

    Returns:
        True if so.
    """
    return bool(names.lookup(KIND + reduced(word)))


def heads_names(names: Names, word: str) -> bool:
    """Tell whether a word ends the names of many records, which tell apart what it leaves open.

    Args:
        names: Names of the knowledge base.
        word: A normalised word.

    Returns:
        True if so.
    """
    return bool(names.lookup(HEAD + reduced(word)))
