"""The longest terms in a text, whatever their case: what a list of diseases or goods names."""

from collections.abc import Sequence
from typing import Protocol

from relik.kb.inflections import stems
from relik.kb.names import PARTIAL, NameMatch, tokenise_surface
from relik.types import Span

_LONGEST = 12
# Shorter ones are words of another meaning as often, and terms only in capitals: ALS, and "as".
_SHORTEST = 4
_APOSTROPHES = ("'", "\u2019")


class Names(Protocol):
    """What is asked of a name trie."""

    def lookup(self, key: str) -> list[NameMatch]:
        """Return the records that have a normalised name."""

    def has_prefix(self, prefix: str) -> bool:
        """Tell whether some normalised name begins so."""


def longest_terms(
    names: Names, text: str, *, adjectives: bool = False
) -> list[tuple[Span, list[NameMatch]]]:
    """Find the longest names from left to right; plurals count, and a possessive may be missing.

    Args:
        names: Names of the knowledge base.
        text: Any text.
        adjectives: Adjectives count too: "diabetic" for diabetes.

    Returns:
        Spans of the text that do not overlap, in order, each with the records of that name.
    """
    tokens = tokenise_surface(text)
    found = []
    at = 0
    while at < len(tokens):
        length, matches = _longest_at(names, text, tokens[at : at + _LONGEST], adjectives)
        if matches:
            found.append((Span(tokens[at][1], tokens[at + length - 1][2]), matches))
        at += length
    return found


def _longest_at(
    names: Names, text: str, tokens: Sequence[tuple[str, int, int]], adjectives: bool
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
            matches = _whole(names, keys, adjectives)
            if matches:
                best = length, matches
        if not any(names.has_prefix(f"{key} ") for key in keys):
            break
    return best


def _whole(names: Names, keys: Sequence[str], adjectives: bool) -> list[NameMatch]:
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
