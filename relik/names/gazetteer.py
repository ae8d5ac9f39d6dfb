"""The longest terms in a text, whatever their case: what a list of diseases or goods names."""

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from relik.names.inflections import stems
from relik.names.normalise import tokenise_surface
from relik.names.trie import PARTIAL, NameMatch
from relik.names.variants import is_content, variants
from relik.types import Span

_LONGEST = 12
# Shorter ones are words of another meaning as often, and terms only in capitals: ALS, and "as".
_SHORTEST = 4
_APOSTROPHES = ("'", "\u2019")
_LONGEST_VARIANT = 8
# What parts words of different terms.
_APART = re.compile(r"[.,;:()\[\]]")


class Names(Protocol):
    """What is asked of a name trie."""

    def lookup(self, key: str) -> list[NameMatch]:
        """Return the records that have a normalised name."""

    def has_prefix(self, prefix: str) -> bool:
        """Tell whether some normalised name begins so."""


class VariantNames(Names, Protocol):
    """What is asked of a name trie besides where variants are looked for."""

    def continuations(self, prefix: str) -> list[str]:
        """Return what follows a prefix in the keys that begin with it."""


def longest_terms(names: Names, text: str) -> list[tuple[Span, list[NameMatch]]]:
    """Find the longest names from left to right; plurals count, and a possessive may be missing.

    Args:
        names: Names of the knowledge base.
        text: Any text.

    Returns:
        Spans of the text that do not overlap, in order, each with the records of that name.
    """
    tokens = tokenise_surface(text)
    return _from_left(
        tokens, lambda at: _longest_at(names, text, tokens[at : at + _LONGEST], adjectives=False)
    )


def likely_terms(names: VariantNames, text: str) -> list[tuple[Span, list[NameMatch]]]:
    """Find the longest terms from left to right, as `longest_terms`, and what is like them.

    Args:
        names: Names of the knowledge base.
        text: Any text.

    Returns:
        As `longest_terms`; adjectives count too, "diabetic" for diabetes, and variants where they
        are longer than a name.
    """
    tokens = tokenise_surface(text)

    def longest_at(at: int) -> tuple[int, list[NameMatch]]:
        best = _longest_at(names, text, tokens[at : at + _LONGEST], adjectives=True)
        for length, matches in variants_at(names, text, tokens[at : at + _LONGEST_VARIANT]):
            if length > best[0] or not best[1]:
                best = length, matches
        return best

    return _from_left(tokens, longest_at)


def variants_at(
    names: VariantNames, text: str, tokens: Sequence[tuple[str, int, int]]
) -> list[tuple[int, list[NameMatch]]]:
    """Find the variants of names that begin with the first of some words.

    Args:
        names: Names of the knowledge base.
        text: Any text.
        tokens: Words of it that follow each other, as `tokenise_surface` gives them.

    Returns:
        Number of words and records of each, the shortest first.
    """
    found: list[tuple[int, list[NameMatch]]] = []
    if not tokens or not tokens[0][0].isalpha() or not is_content(tokens[0][0]):
        return found
    for length, (word, start, _) in enumerate(tokens, start=1):
        if length > 1 and _APART.search(text, tokens[length - 2][2], start):
            break
        if is_content(word):
            matches = variants(names, [word for word, _, _ in tokens[:length]])
            if matches:
                found.append((length, matches))
    return found


def _from_left(
    tokens: Sequence[tuple[str, int, int]],
    longest_at: Callable[[int], tuple[int, list[NameMatch]]],
) -> list[tuple[Span, list[NameMatch]]]:
    found = []
    at = 0
    while at < len(tokens):
        length, matches = longest_at(at)
        if matches:
            found.append((Span(tokens[at][1], tokens[at + length - 1][2]), matches))
        at += length
    return found


def _longest_at(
    names: Names, text: str, tokens: Sequence[tuple[str, int, int]], *, adjectives: bool
) -> tuple[int, list[NameMatch]]:
    """Give the words and the records of the longest name that begins with the first word."""
    best: tuple[int, list[NameMatch]] = (1, [])
    keys = [""]
    for length, (word, start, end) in enumerate(tokens, start=1):
        longer = [f"{key} {word}".lstrip() for key in keys]
        # Parkinson's disease is Parkinson disease in some lists.
        owned = word == "s" and text[start - 1 : start] in _APOSTROPHES
        keys = longer + keys if owned and length > 1 else longer
        surface = text[tokens[0][1] : end]
        if not owned and (len(surface) >= _SHORTEST or surface.isupper()):
            matches = _whole(names, keys, adjectives=adjectives)
            if matches:
                best = length, matches
        if not any(names.has_prefix(f"{key} ") for key in keys):
            break
    return best


def _whole(names: Names, keys: Sequence[str], *, adjectives: bool) -> list[NameMatch]:
    formed_of = [
        stem
        for key in keys
        for stem in stems(key, adjectives=False, terms=adjectives)
        if len(stem) >= _SHORTEST
    ]
    for form in (*keys, *formed_of):
        matches = [match for match in names.lookup(form) if not match.flags & PARTIAL]
        if matches:
            return matches
    return []
