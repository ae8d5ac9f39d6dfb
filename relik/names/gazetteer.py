"""The longest terms in a text, whatever their case: what a list of diseases or goods names."""

import re
from collections.abc import Callable, Sequence

from relik.names.normalise import tokenise_surface
from relik.names.resolve import Knowledge, Sense, Senses, resolve_key, reworded_senses
from relik.names.trie import Kind
from relik.names.variants import is_content
from relik.types import Span

_LONGEST = 12
# Shorter ones are words of another meaning as often, and terms only in capitals: ALS, and "as".
_SHORTEST = 4
_APOSTROPHES = ("'", "\u2019")
_LONGEST_VARIANT = 8
# What parts words of different terms.
_APART = re.compile(r"[.,;:()\[\]]")


def longest_terms(kb: Knowledge, text: str) -> list[tuple[Span, Senses]]:
    """Find the longest names from left to right; plurals count, and a possessive may be missing.

    Args:
        kb: Knowledge base.
        text: Any text.

    Returns:
        Spans of the text that do not overlap, in order, each with the senses of that name.
    """
    tokens = tokenise_surface(text)
    return _from_left(
        tokens, lambda at: _longest_at(kb, text, tokens[at : at + _LONGEST], derived=False)
    )


def likely_terms(kb: Knowledge, text: str) -> list[tuple[Span, Senses]]:
    """Find the longest terms from left to right, as `longest_terms`, and what is like them.

    Args:
        kb: Knowledge base.
        text: Any text.

    Returns:
        As `longest_terms`; adjectives count too, "diabetic" for diabetes, and variants where they
        are longer than a name.
    """
    tokens = tokenise_surface(text)

    def longest_at(at: int) -> tuple[int, Senses]:
        best = _longest_at(kb, text, tokens[at : at + _LONGEST], derived=True)
        for length, senses in variants_at(kb, text, tokens[at : at + _LONGEST_VARIANT]):
            if length > best[0] or not best[1]:
                best = length, senses
        return best

    return _from_left(tokens, longest_at)


def variants_at(
    kb: Knowledge, text: str, tokens: Sequence[tuple[str, int, int]]
) -> list[tuple[int, Senses]]:
    """Find the variants of names that begin with the first of some words.

    Args:
        kb: Knowledge base.
        text: Any text.
        tokens: Words of it that follow each other, as `tokenise_surface` gives them.

    Returns:
        Number of words and senses of each, the shortest first.
    """
    found: list[tuple[int, Senses]] = []
    language = kb.policy.language
    if not tokens or not tokens[0][0].isalpha() or not is_content(tokens[0][0], language):
        return found
    for length, (word, start, _) in enumerate(tokens, start=1):
        if length > 1 and _APART.search(text, tokens[length - 2][2], start):
            break
        if is_content(word, language):
            senses = reworded_senses(kb, [word for word, _, _ in tokens[:length]])
            if senses:
                found.append((length, senses))
    return found


def _from_left(
    tokens: Sequence[tuple[str, int, int]], longest_at: Callable[[int], tuple[int, Senses]]
) -> list[tuple[Span, Senses]]:
    found = []
    at = 0
    while at < len(tokens):
        length, senses = longest_at(at)
        if senses:
            found.append((Span(tokens[at][1], tokens[at + length - 1][2]), senses))
        at += length
    return found


def _longest_at(
    kb: Knowledge, text: str, tokens: Sequence[tuple[str, int, int]], *, derived: bool
) -> tuple[int, Senses]:
    """Give the words and the senses of the longest name that begins with the first word."""
    best: tuple[int, Senses] = (1, ())
    keys = [""]
    for length, (word, start, end) in enumerate(tokens, start=1):
        longer = [f"{key} {word}".lstrip() for key in keys]
        # Parkinson's disease is Parkinson disease in some lists.
        owned = word == "s" and text[start - 1 : start] in _APOSTROPHES
        keys = longer + keys if owned and length > 1 else longer
        surface = text[tokens[0][1] : end]
        if not owned and (len(surface) >= _SHORTEST or surface.isupper()):
            senses = _named(kb, keys, lower=surface.islower(), derived=derived)
            if senses:
                best = length, senses
        if not any(kb.names.has_prefix(f"{key} ") for key in keys):
            break
    return best


def _named(kb: Knowledge, keys: Sequence[str], *, lower: bool, derived: bool) -> Senses:
    """Give the senses of the first key that has some: whole names and what is formed from them."""
    for key in keys:
        senses = resolve_key(kb, key, lower=lower, reworded=False)
        if kept := tuple(sense for sense in senses if _is_term(sense, derived=derived)):
            return kept
    return ()


def _is_term(sense: Sense, *, derived: bool) -> bool:
    if sense.part or (sense.derived and not derived):
        return False
    return sense.kind is not Kind.INFLECTED or len(sense.form) >= _SHORTEST
