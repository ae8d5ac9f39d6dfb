"""Triples of a document: those that one sentence may state, and those of a window's mentions."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from relik.evaluation import GoldMention
from relik.types import Span

MAX_DISTANCE = 250
"""Maximum code points between the starts of subject and object within one sentence."""

# Two letters before the stop: initials do not end a sentence. Some sets put a space before a stop.
_SENTENCE_END = re.compile(r"(?<=[a-z\d\)\"\]]{2}) ?[.!?][\"')\]]*\s+(?=[A-Z\"'(\[])|\n+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A labelled span of an example.

    Args:
        span: Code points of `Example.text`.
        entity_id: Id in the knowledge base; None for NIL; "" if the link is not annotated.
        group: Key of the coreferent mentions of a document.
    """

    span: Span
    entity_id: str | None
    group: str = ""


M = TypeVar("M", Mention, GoldMention)


@dataclass(frozen=True, slots=True)
class Statement:
    """A triple of a document.

    Args:
        subject: Annotated span of the subject.
        subject_group: Its `Mention.group`.
        object: Annotated span of the object.
        object_group: Its `Mention.group`.
    """

    subject: Span
    subject_group: str
    relation: str
    object: Span
    object_group: str


def triples_within_sentences(
    row: Mapping[str, Any], triggers: Mapping[str, str]
) -> list[tuple[int, str, int]]:
    """Keep the triples that a sentence may state, and place each between the closest mentions.

    Args:
        row: A document with `text`, `spans` and `triples`. Spans with the same cluster, else the
            same id, else the same text, are coreferent.
        triggers: By relation id, parts of words, separated by white space, one of which must occur
            in the sentence, in any case.

    Returns:
        (subject span, relation id, object span) of the remaining triples, in order.
    """
    text, spans = row["text"], row["spans"]
    begins, sentences = _begins(text), _sentences(row)
    groups = [_group(span) for span in spans]
    members: defaultdict[object, list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        members[group].append(number)
    kept = []
    for subject, relation, obj in row.get("triples", ()):
        pairs = [
            (abs(spans[s][0] - spans[o][0]), s, o)
            for s in members[groups[subject]]
            for o in members[groups[obj]]
            if s != o and sentences[s] == sentences[o]
        ]
        # Of equally close pairs the first.
        distance, s, o = min(pairs, key=lambda each: each[0], default=(MAX_DISTANCE + 1, 0, 0))
        if distance > MAX_DISTANCE:
            continue
        sentence = text[begins[sentences[s] - 1] : begins[sentences[s]]]
        if _has_trigger(sentence, triggers.get(relation, "")):
            kept.append((s, relation, o))
    return kept


def triples_across_sentences(row: Mapping[str, Any]) -> list[tuple[int, str, int]]:
    """Keep the triples of which no sentence has both subject and object, unchanged and in order.

    Consecutive sentences may state them, or the text may not state them at all.

    Args:
        row: As in `triples_within_sentences`.
    """
    sentences = _sentences(row)
    where: defaultdict[object, set[int]] = defaultdict(set)
    for number, span in enumerate(row["spans"]):
        where[_group(span)].add(sentences[number])
    return [
        (subject, relation, obj)
        for subject, relation, obj in row.get("triples", ())
        if not where[_group(row["spans"][subject])] & where[_group(row["spans"][obj])]
    ]


def place_triples(
    statements: Sequence[Statement],
    inside: Sequence[Mention],
    inverses: Mapping[str, str] | None = None,
) -> tuple[tuple[tuple[int, str, int], ...], frozenset[tuple[int, str, int]]]:
    """Place the triples of a document among the mentions of a window.

    A data set annotates one pair of mentions for each triple, often in another part of the text.
    The annotated pair and the closest pair are positive; all other coreferent pairs are doubtful.

    Args:
        inside: The mentions of the window.
        inverses: As `SourceConfig.inverses`; the inverses of all these triples are doubtful.

    Returns:
        Positive and doubtful triples as (subject index, relation id, object index) of `inside`.
    """
    index_of = {mention.span: i for i, mention in enumerate(inside)}
    groups: dict[str, list[int]] = {}
    for i, mention in enumerate(inside):
        groups.setdefault(mention.group, []).append(i)
    stated: dict[tuple[int, str, int], None] = {}
    doubtful: set[tuple[int, str, int]] = set()
    for one in statements:
        pairs = [
            (s, o)
            for s in groups.get(one.subject_group, ())
            for o in groups.get(one.object_group, ())
            if s != o
        ]
        if one.subject in index_of and one.object in index_of:
            stated[(index_of[one.subject], one.relation, index_of[one.object])] = None
        if pairs:
            s, o = min(pairs, key=lambda p: abs(inside[p[0]].span.start - inside[p[1]].span.start))
            stated[(s, one.relation, o)] = None
            doubtful.update((s, one.relation, o) for s, o in pairs)
    inverted = {
        (o, inverses[relation], s)
        for s, relation, o in (*stated, *doubtful)
        if inverses and relation in inverses
    }
    return tuple(stated), frozenset((doubtful | inverted) - stated.keys())


def without_overlaps(mentions: Iterable[M]) -> list[M]:
    """Keep the mentions that overlap none before them, sorted by their spans."""
    kept: list[M] = []
    for mention in mentions:
        if not any(mention.span.overlaps(other.span) for other in kept):
            kept.append(mention)
    return sorted(kept, key=lambda each: each.span)


def _begins(text: str) -> list[int]:
    return [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text) + 1]


def _sentences(row: Mapping[str, Any]) -> list[int]:
    """Return the number of the sentence of each span, from 1."""
    begins = _begins(row["text"])
    return [bisect_right(begins, span[0]) for span in row["spans"]]


def _group(span: Sequence[Any]) -> object:
    extra = span[4] if len(span) > 4 and isinstance(span[4], dict) else {}
    if extra.get("cluster") is not None:
        return "cluster", extra["cluster"]
    return ("id", span[2]) if span[2] else ("text", span[3])


def _has_trigger(sentence: str, words: str) -> bool:
    folded = sentence.casefold()
    return not words or any(word.casefold() in folded for word in words.split())
