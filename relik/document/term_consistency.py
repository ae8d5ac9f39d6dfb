"""What a whole document says of its terms, where the knowledge base is a list of them.

A reader sees windows and judges each mention alone. Over a document one sense holds (Gale, Church
and Yarowsky, 1992): what is named in one place is named in others. Some names are no evidence by
themselves: two or three capitals stand for many things, a kind such as "disease" for none of its
records, an adjective right before another mention belongs to it, and "injury" in "liver injury" is
less than what is meant.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from relik.document.abbreviations import abbreviations
from relik.names.gazetteer import longest_terms
from relik.names.language import Language
from relik.names.normalise import normalise, tokenise_surface
from relik.names.resolve import Knowledge, resolve_key
from relik.names.variants import heads_names, is_content, names_kind, reduced_words
from relik.types import Annotation, EntitySpan, Span

_LONGEST_AMBIGUOUS = 3
_LONGEST_WORD = 40
_LAST_WORD = re.compile(r"(\w+) $")


def with_document(annotation: Annotation, text: str, kb: Knowledge) -> Annotation:
    """Judge the mentions of a document by each other.

    Args:
        annotation: What was found in it; spans that do not overlap, in order.
        text: Its text.
        kb: The list of terms.

    Returns:
        The same, without mentions that are no evidence by themselves, and with the other uses of
        terms that are linked.
    """
    linked = _linked(annotation.spans)
    refused = {*_kinds(linked, text, kb), *_adjectives(linked, text, kb), *_capitals(linked, text)}
    kept = _repeated([one for one in annotation.spans if one.span not in refused], text, kb)
    # Only now: a head that is less than what is meant in one place is a term in another.
    heads = set(_heads(_linked(kept), text, kb))
    spans = {found.span: found for found in kept if found.span not in heads}
    triples = tuple(
        one for one in annotation.triples if one.subject in spans and one.object in spans
    )
    return replace(annotation, spans=tuple(spans[one] for one in sorted(spans)), triples=triples)


def _linked(found: Iterable[EntitySpan]) -> list[EntitySpan]:
    return [one for one in found if one.entity_id is not None]


def _kinds(linked: Iterable[EntitySpan], text: str, kb: Knowledge) -> list[Span]:
    language = kb.policy.language
    keys = [(one.span, normalise(_surface(text, one))) for one in linked]
    return [span for span, key in keys if names_kind(kb.names, key, language)]


def _heads(linked: Iterable[EntitySpan], text: str, kb: Knowledge) -> list[Span]:
    """Find heads of many names without the word before them, which begins some name."""
    language = kb.policy.language
    return [
        one.span
        for one in linked
        if heads_names(kb.names, normalise(_surface(text, one)), language)
        and _begins_name(_word_before(text, one.span.start), kb)
    ]


def _word_before(text: str, at: int) -> str:
    """Give the word that one space parts from what begins here; empty where there is none."""
    words = _LAST_WORD.search(text, max(0, at - _LONGEST_WORD), at)
    return normalise(words.group(1)) if words else ""


def _begins_name(word: str, kb: Knowledge) -> bool:
    # "Induced" and "associated" say how it came, not what it is.
    telling = is_content(word, kb.policy.language) and not word.endswith("ed")
    return len(word) > _LONGEST_AMBIGUOUS and telling and kb.names.has_prefix(f"{word} ")


def _adjectives(linked: Sequence[EntitySpan], text: str, kb: Knowledge) -> list[Span]:
    """Find single words without a name of their record that a mention follows at once."""
    starts = {found.span.start for found in linked}
    adjectives = []
    for found in linked:
        key = normalise(_surface(text, found))
        before = text[found.span.end : found.span.end + 1] == " "
        if before and found.span.end + 1 in starts and " " not in key:
            row = kb.row_of(str(found.entity_id))
            senses = resolve_key(kb, key, lower=False, formed=False)
            if all(sense.row != row for sense in senses):
                adjectives.append(found.span)
    return adjectives


def _capitals(linked: Sequence[EntitySpan], text: str) -> list[Span]:
    """Find short names in capitals of what the document names in no other way."""
    short = [found for found in linked if _ambiguous(_surface(text, found))]
    if not short:
        return []
    defined = abbreviations(text)
    named = {found.entity_id for found in linked if not _ambiguous(_surface(text, found))}
    return [
        found.span
        for found in short
        if found.entity_id not in named and _surface(text, found) not in defined
    ]


def _repeated(found: Sequence[EntitySpan], text: str, kb: Knowledge) -> list[EntitySpan]:
    """Add the terms that are linked elsewhere in the document, where nothing else is."""
    meant: dict[tuple[str, ...], EntitySpan] = {}
    language = kb.policy.language
    linked = _linked(found)
    for one in sorted(linked, key=lambda one: -one.score):
        meant.setdefault(_words(_surface(text, one), language), one)
    taken = [one.span for one in linked]
    added: dict[Span, EntitySpan] = {}
    for span, senses in longest_terms(kb, text) if meant else ():
        surface = text[span.start : span.end]
        like = meant.get(_words(surface, language))
        if like is None or _ambiguous(surface) or _touches(span, taken):
            continue
        if kb.row_of(str(like.entity_id)) in {sense.row for sense in senses}:
            added[span] = replace(like, span=span)
    nothing = [one for one in found if one.entity_id is None]
    free = [one for one in nothing if not _touches(one.span, sorted(added))]
    return [*linked, *free, *added.values()]


def _surface(text: str, found: EntitySpan) -> str:
    return text[found.span.start : found.span.end]


def _ambiguous(surface: str) -> bool:
    return surface.isupper() and len(surface) <= _LONGEST_AMBIGUOUS


def _words(surface: str, language: Language) -> tuple[str, ...]:
    return reduced_words([word for word, _, _ in tokenise_surface(surface)], language)


def _touches(span: Span, others: Sequence[Span]) -> bool:
    """Tell whether a span overlaps others, which are in order and do not overlap."""
    at = bisect_left(others, span)
    return any(span.overlaps(other) for other in others[max(0, at - 1) : at + 1])
