"""Terms in other words: another order, another spelling, another number, a word of like meaning.

Matchers such as QuickUMLS (Soldaini and Goharian, 2016) find "cancer of the breast" where the list
has "Breast Cancers". Which words mean the same is told by the list itself: many of its records are
called both "Kidney ..." and "Renal ...". An index built for terms keeps both among its names, under
keys that no name has.
"""

from collections.abc import Sequence

from relik.names.language import Language
from relik.names.trie import NameMatch, Names

VARIANT = "\x1f"
"""What keys of names begin with whose words are reduced and sorted."""
SWAP = "\x1e"
"""What keys begin with that have a reduced word and another one for it."""
KIND = "\x1d"
"""What keys of words begin with that name the kind of very many records: disease."""
HEAD = "\x1c"
"""What keys of words begin with that end the names of many records: disease, tumor."""

_SHORTEST = 4
# A shorter word may be what an acronym is in the plural.
_SHORTEST_ALONE = 5
_MOST_SWAPS = 16


def reduced(word: str, language: Language) -> str:
    """Reduce a normalised word to what its spellings and its plural have in common.

    Args:
        word: A normalised word.
        language: Its language.

    Returns:
        Something that need not be a word.
    """
    if len(word) <= _SHORTEST:
        return word
    for british, american in zip(*language.spellings, strict=True):
        word = word.replace(british, american)
    for ending, base in zip(*language.endings, strict=True):
        if word.endswith(ending):
            plain = not base and word.endswith(language.no_plurals)
            return word if plain else word.removesuffix(ending) + base
    return word


def reduced_words(words: Sequence[str], language: Language) -> tuple[str, ...]:
    """Reduce the normalised words of a term and sort them; what only joins them is left out."""
    return tuple(sorted(reduced(word, language) for word in words if word not in language.unsaid))


def variant_key(words: Sequence[str]) -> str:
    """Give the key that a term and its variants share; it is no normalised name.

    Args:
        words: Reduced words, sorted.
    """
    return VARIANT + " ".join(words)


def is_content(word: str, language: Language) -> bool:
    """Tell whether a normalised word means something of its own; what joins words does not."""
    return word not in language.unsaid and word not in language.joining


def is_name(key: str) -> bool:
    """Tell whether a key of the trie is a name, and not one of those kept beside names."""
    return key[:1] not in (VARIANT, SWAP, KIND, HEAD)


def variants(names: Names, words: Sequence[str], language: Language) -> list[NameMatch]:
    """Find the records that have a name which some words are a variant of.

    Args:
        names: Names of the knowledge base.
        words: Normalised words.
        language: Language of the names.

    Returns:
        Matches of names that differ in the order, spelling or number of words; else of those that
        besides have one word of like meaning; empty where there are none.
    """
    mine = reduced_words(words, language)
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


def names_kind(names: Names, word: str, language: Language) -> bool:
    """Tell whether a normalised word names the kind of very many records, and none of them."""
    return bool(names.lookup(KIND + reduced(word, language)))


def heads_names(names: Names, word: str, language: Language) -> bool:
    """Tell whether a normalised word ends the names of many records, which tell it apart."""
    return bool(names.lookup(HEAD + reduced(word, language)))
