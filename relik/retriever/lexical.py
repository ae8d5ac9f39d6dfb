"""Candidates by name: every stretch of a window that is a name, an alias or a part of a name.

Source: mention-entity dictionaries with commonness priors (Milne and Witten 2008; Ganea and
Hofmann 2017). A name works at once for a knowledge base that no model has seen.
"""

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from relik.names.gazetteer import variants_at
from relik.names.normalise import is_joined, tokenise_surface
from relik.names.resolve import Knowledge, Senses, resolve_key
from relik.types import Window

MAX_NAME_TOKENS = 10
MAX_ROWS_PER_NAME = 24
_MAX_ROWS_OF_PLACE = 3
# Of words in lower case, which together mean what is written with a capital.
_LONG = 3
_WORD = re.compile(r"\b[^\W\d_]{2}")
_BEGIN = re.compile(r"(?:^|[.!?:;\n\u2026])[^\w.!?:;\n\u2026]*\Z")


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


def match_names(kb: Knowledge, windows: Sequence[Window]) -> list[list[NameHit]]:
    """Find the records of a knowledge base that windows name.

    Args:
        kb: The knowledge base.
        windows: Windows; those of one document stand together, in order.

    Returns:
        For each window one hit a record, ordered by row.
    """
    answer: list[list[NameHit]] = []
    for group in _documents(windows):
        mentions = [_mentions(kb, window.text) for window in group]
        known = {
            hit.row
            for window_mentions in mentions
            for mention in window_mentions
            for hit in mention.hits
            if not hit.partial and not hit.nested and mention.end - mention.start > 1
        }
        answer.extend(_best_hits(window_mentions, known) for window_mentions in mentions)
    return answer


def _mentions(kb: Knowledge, text: str) -> list[_Mention]:
    tokens = tokenise_surface(text)
    caseless = not _has_capitals(text)
    has_prefix = kb.names.has_prefix
    found: list[_Mention] = []
    for start, (word, first, last) in enumerate(tokens):
        key = ""
        uncased = not caseless and text[first].islower() and text[first:last].islower()
        named = not _names_nothing(text, tokens[start])
        for end in range(start + 1, min(start + MAX_NAME_TOKENS, len(tokens)) + 1):
            key = f"{key} {tokens[end - 1][0]}" if key else word
            if named or end - start > 1:
                lower = uncased or text[first : tokens[end - 1][2]].islower()
                senses = resolve_key(kb, key, lower=lower, reworded=False)
                if senses and uncased and end - start < _LONG:
                    # What has a capital elsewhere would have one here.
                    senses = _without_capitals(senses)
                if senses:
                    found.append(_Mention(start, end, _hits(senses, key)))
            if not has_prefix(f"{key} "):
                break
    return [*found, *_variants(kb, text, tokens, found)] if kb.policy.terms else found


def _variants(
    kb: Knowledge,
    text: str,
    tokens: Sequence[tuple[str, int, int]],
    found: Sequence[_Mention],
) -> list[_Mention]:
    """Find terms in other words, as parts of names; what has a name is no variant."""
    held = {(mention.start, mention.end) for mention in found}
    return [
        _Mention(start, start + length, _hits(senses, ""))
        for start in range(len(tokens))
        for length, senses in variants_at(kb, text, tokens[start : start + MAX_NAME_TOKENS])
        if (start, start + length) not in held
    ]


def _without_capitals(senses: Senses) -> Senses:
    """Leave out names with a capital, and share their uses out among the others."""
    kept = [sense for sense in senses if not sense.cased]
    if len(kept) == len(senses):
        return senses
    totals: defaultdict[tuple[str, bool], float] = defaultdict(float)
    for sense in kept:
        totals[sense.form, sense.part] += sense.share_of_form
    return tuple(
        [
            sense._replace(share_of_form=sense.share_of_form / totals[sense.form, sense.part])
            for sense in kept
        ]
    )


def _hits(senses: Senses, key: str) -> tuple[NameHit, ...]:
    """Give the likeliest senses of each name that was found for a stretch of words.

    A share is that of the name: how often a part or an inflected form is used at all is for the
    weight of partial names to say.
    """
    hits = []
    left: defaultdict[tuple[str, bool], int] = defaultdict(lambda: MAX_ROWS_PER_NAME)
    # Palestinian is a name of a people; Palestine is then meant by few of its namesakes.
    named = any(sense.form == key or not sense.derived for sense in senses)
    n_places = _MAX_ROWS_OF_PLACE
    for sense in senses:
        name = sense.form, sense.part
        if named and sense.derived:
            n_places -= not sense.part
            if sense.form != key and (sense.part or n_places < 0):
                continue
        if left[name]:
            left[name] -= 1
            prior = math.log(sense.share_of_form)
            partial = not sense.whole
            hits.append(NameHit(row=sense.row, log_prior=prior, partial=partial, name=sense.form))
    return tuple(hits)


def _documents(windows: Sequence[Window]) -> list[list[Window]]:
    """Group windows by document; a window with index 0 begins one, since ids may repeat."""
    groups: list[list[Window]] = []
    for window in windows:
        if not groups or window.index == 0 or groups[-1][-1].doc_id != window.doc_id:
            groups.append([])
        groups[-1].append(window)
    return groups


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
    best: dict[int, tuple[float, NameHit, bool]] = {}
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
            quality = hit.log_prior - 2.0 * nested - hit.partial
            if hit.row not in best or quality > best[hit.row][0]:
                best[hit.row] = quality, hit, nested
    found = ((hit, nested, hit.row in known) for _, (_, hit, nested) in sorted(best.items()))
    return [
        replace(hit, nested=nested, known=seen) if nested or seen else hit
        for hit, nested, seen in found
    ]
