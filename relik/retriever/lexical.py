"""Candidates by name: every stretch of a window that is a name, an alias or a part of a name.

Source: mention-entity dictionaries with commonness priors (Milne and Witten 2008; Ganea and
Hofmann 2017). A name works at once for a knowledge base that no model has seen.
"""

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from relik.names.gazetteer import variants_at
from relik.names.inflections import place_stems, stems
from relik.names.normalise import is_joined, tokenise_surface
from relik.names.trie import CASED, PARTIAL, PRIMARY, NameMatch
from relik.types import Window

MAX_NAME_TOKENS = 10
MAX_ROWS_PER_NAME = 24
_MAX_ROWS_OF_PLACE = 3
# Of words in lower case, which together mean what is written with a capital.
_LONG = 3
_WORD = re.compile(r"\b[^\W\d_]{2}")
_BEGIN = re.compile(r"(?:^|[.!?:;\n\u2026])[^\w.!?:;\n\u2026]*\Z")


class Names(Protocol):
    """What the matcher needs of a name trie."""

    def lookup(self, key: str) -> list[NameMatch]:
        """Return the records that have a normalised name."""

    def has_prefix(self, prefix: str) -> bool:
        """Tell whether some normalised name begins so."""

    def continuations(self, prefix: str) -> list[str]:
        """Return what follows a prefix in the keys that begin with it."""


class Counts(Protocol):
    """What the matcher needs of a knowledge base."""

    def count(self, row: int) -> int:
        """Return how often the record is linked in the text that gave the surface forms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameHit:
    """A record whose name stands in a window; the best of its occurrences.

    Args:
        row: Row in the knowledge base.
        log_prior: Natural log of the share of uses of that name that mean this record, <= 0.
        partial: The name is only a part of the record's name.
        nested: The occurrence lies inside a longer name.
        known: The document has the record's full name elsewhere.
        name: The name, normalised; records of one name are rivals.
    """

    row: int
    log_prior: float
    partial: bool = False
    nested: bool = False
    known: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class _Mention:
    start: int
    end: int
    hits: tuple[NameHit, ...]


class LexicalMatcher:
    """Finds names of a knowledge base in windows.

    Args:
        names: Normalised names and what they name.
        counts: Link counts of records.
        terms: The names are terms, of which texts form adjectives: "diabetic".
    """

    def __init__(self, names: Names, counts: Counts, *, terms: bool = False) -> None:
        self._names = names
        self._counts = counts
        self._terms = terms

    def match(self, windows: Sequence[Window]) -> list[list[NameHit]]:
        """Find the records named in each window.

        Args:
            windows: Windows; those of one document stand together, in order.

        Returns:
            For each window one hit a record, ordered by row.
        """
        answer: list[list[NameHit]] = []
        for group in _documents(windows):
            mentions = [self._mentions(window.text) for window in group]
            known = {
                hit.row
                for window_mentions in mentions
                for mention in window_mentions
                for hit in mention.hits
                if not hit.partial and not hit.nested and mention.end - mention.start > 1
            }
            answer.extend(_best_hits(window_mentions, known) for window_mentions in mentions)
        return answer

    def _mentions(self, text: str) -> list[_Mention]:
        tokens = tokenise_surface(text)
        caseless = not _has_capitals(text)
        found: list[_Mention] = []
        for start in range(len(tokens)):
            key = ""
            named = not _names_nothing(text, tokens[start])
            for end in range(start + 1, min(start + MAX_NAME_TOKENS, len(tokens)) + 1):
                key = f"{key} {tokens[end - 1][0]}" if key else tokens[start][0]
                cased = _cased(text, tokens[start][1])
                hits: tuple[NameHit, ...] = ()
                if named or end - start > 1:
                    hits = self._hits(key, cased, caseless, end - start)
                    hits = (*hits, *self._inflected(key, cased, caseless, end - start, hits))
                if hits:
                    found.append(_Mention(start, end, hits))
                if not self._names.has_prefix(f"{key} "):
                    break
        return [*found, *self._variants(text, tokens, found)] if self._terms else found

    def _variants(
        self, text: str, tokens: Sequence[tuple[str, int, int]], found: Sequence[_Mention]
    ) -> list[_Mention]:
        """Find terms in other words, as parts of names; what has a name is no variant."""
        held = {(mention.start, mention.end) for mention in found}
        more = []
        for start in range(len(tokens)):
            words = tokens[start : start + MAX_NAME_TOKENS]
            for length, matches in variants_at(self._names, text, words):
                if (start, start + length) not in held:
                    hits = self._weighed(matches, " ".join(word for word, _, _ in words[:length]))
                    variants = tuple(replace(hit, partial=True) for hit in hits)
                    more.append(_Mention(start, start + length, variants))
        return more

    def _inflected(
        self, key: str, cased: bool, caseless: bool, length: int, held: tuple[NameHit, ...]
    ) -> tuple[NameHit, ...]:
        """Find what a plural or an adjective of a place is formed from, as parts of names."""
        # "joules" in lower case may be a unit, though a company is called Joules. A name of
        # something may still be an adjective, Palestinian a newspaper and of Palestine.
        named = bool(held) and cased
        forms = [] if named else stems(key, adjectives=False, terms=self._terms)
        found = self._first_of(forms, cased, caseless, length)
        # Palestinians are of a place as well, though "Palestinian" is a name.
        of_place = self._first_of(place_stems(key) if cased else (), cased, caseless, length)
        if named or found:
            of_place = [hit for hit in of_place if not hit.partial][:_MAX_ROWS_OF_PLACE]
        more: dict[int, NameHit] = {}
        for hit in (*found, *of_place):
            more.setdefault(hit.row, replace(hit, partial=True))
        return tuple(hit for row, hit in more.items() if row not in {one.row for one in held})

    def _first_of(
        self, forms: Sequence[str], cased: bool, caseless: bool, length: int
    ) -> Sequence[NameHit]:
        """Give the records that have the first form which is a name."""
        found = (self._hits(form, cased, caseless, length) for form in forms)
        return next((hits for hits in found if hits), ())

    def _hits(self, key: str, cased: bool, caseless: bool, length: int) -> tuple[NameHit, ...]:
        said = cased or caseless or length >= _LONG
        named = [one for one in self._names.lookup(key) if said or not one.flags & CASED]
        return self._weighed(named, key)

    def _weighed(self, matches: Sequence[NameMatch], key: str) -> tuple[NameHit, ...]:
        whole: dict[int, float] = {}
        parts: dict[int, float] = {}
        for match in matches:
            weight = match.count + (0.5 if match.flags & PRIMARY else 0.1)
            weight += 0.1 * math.log1p(self._counts.count(match.row))
            held = parts if match.flags & PARTIAL else whole
            held[match.row] = max(weight, held.get(match.row, 0.0))
        # Shares are taken among whole names and among parts apart: how often a part is used at
        # all is for its own weight to say.
        return (*_shares(whole, key, partial=False), *_shares(parts, key, partial=True))


def _shares(weights: dict[int, float], name: str, *, partial: bool) -> list[NameHit]:
    total = sum(weights.values())
    best = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    return [
        NameHit(row=row, log_prior=math.log(weight / total), partial=partial, name=name)
        for row, weight in best[:MAX_ROWS_PER_NAME]
    ]


def _documents(windows: Sequence[Window]) -> list[list[Window]]:
    """Group windows by document; a window with index 0 begins one, since ids may repeat."""
    groups: list[list[Window]] = []
    for window in windows:
        if not groups or window.index == 0 or groups[-1][-1].doc_id != window.doc_id:
            groups.append([])
        groups[-1].append(window)
    return groups


def _cased(text: str, position: int) -> bool:
    return not text[position].islower()


def _names_nothing(text: str, token: tuple[str, int, int]) -> bool:
    """Tell whether a word by itself names nothing here, though a record has it as a name.

    Those are numbers of one or two digits, and letters that are not by themselves: the s of
    "Ada's", initials.
    """
    word, start, end = token
    if len(word) <= 2 and word.isdecimal():
        return True
    letter = len(word) == 1 and word.isalpha() and word != word.upper()
    return letter and (text[start].islower() or is_joined(text, start, end))


def _has_capitals(text: str) -> bool:
    """Tell whether names have capitals here.

    Those at the beginning of a sentence do not show it, nor do abbreviations, "I" and "iPhone",
    which are written so by people who write "obama".
    """
    return any(
        word[0][0].isupper() and word[0][1].islower() and not _BEGIN.search(text, 0, word.start())
        for word in _WORD.finditer(text)
    )


def _best_hits(mentions: list[_Mention], known: set[int]) -> list[NameHit]:
    best: dict[int, NameHit] = {}
    longest_from: defaultdict[int, int] = defaultdict(int)
    for mention in mentions:
        longest_from[mention.start] = max(longest_from[mention.start], mention.end)
    for mention in mentions:
        nested = any(
            longest_from[start] >= mention.end
            and (start < mention.start or longest_from[start] > mention.end)
            for start in range(max(0, mention.start - MAX_NAME_TOKENS), mention.start + 1)
            if start in longest_from
        )
        for hit in mention.hits:
            full = replace(hit, nested=nested, known=hit.row in known)
            held = best.get(hit.row)
            if held is None or _quality(full) > _quality(held):
                best[hit.row] = full
    return [best[row] for row in sorted(best)]


def _quality(hit: NameHit) -> float:
    return hit.log_prior - 2.0 * hit.nested - hit.partial
