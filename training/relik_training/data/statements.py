"""Labelled mentions, and where the triples of a document stand among those of a window."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relik.types import Span

FARTHEST = 250
"""Characters between the beginnings of two ends, beyond which a long sentence says little."""

# A letter before the stop keeps initials together; some sets set a space before it.
_SENTENCE_END = re.compile(r"(?<=[a-z\d\)\"\]]{2}) ?[.!?][\"')\]]*\s+(?=[A-Z\"'(\[])|\n+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A labelled span of an example.

    Args:
        span: Code points of `Example.text`.
        entity_id: Id in the knowledge base; None for NIL; "" where the link is not annotated.
        group: The same for mentions of the same thing in a document.
    """

    span: Span
    entity_id: str | None
    group: str = ""


def told_in_one_sentence(
    row: Mapping[str, Any], triggers: Mapping[str, str]
) -> list[tuple[int, str, int]]:
    """Keep the triples that a sentence of a document may state, between its closest mentions.

    Args:
        row: A document in our shape: `text`, `spans`, `triples`. Spans of one cluster, else of
            one id, else with one text, mention the same thing.
        triggers: For some relation ids, beginnings or parts of words, parted by white space; one
            of them must stand in the sentence, in any case.

    Returns:
        The triples that are left, as (subject span, relation id, object span), in order.
    """
    text, spans = row["text"], row["spans"]
    begins, sentences = _begins(text), _sentences(row)
    groups = [_group(span) for span in spans]
    members: defaultdict[object, list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        members[group].append(number)
    kept = []
    for subject, relation, obj in row.get("triples", ()):
        near = [
            (abs(spans[s][0] - spans[o][0]), s, o)
            for s in members[groups[subject]]
            for o in members[groups[obj]]
            if s != o and sentences[s] == sentences[o]
        ]
        # The first of equally close pairs.
        distance, s, o = min(near, key=lambda each: each[0], default=(FARTHEST + 1, 0, 0))
        if distance > FARTHEST:
            continue
        sentence = text[begins[sentences[s] - 1] : begins[sentences[s]]]
        if _has_trigger(sentence, triggers.get(relation, "")):
            kept.append((s, relation, o))
    return kept


def told_apart(row: Mapping[str, Any]) -> list[tuple[int, str, int]]:
    """Keep the triples whose ends no sentence of a document has both.

    Args:
        row: As in `told_in_one_sentence`.

    Returns:
        Those triples as they are, in order: a sentence and the next may state them, or nothing.
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


def _begins(text: str) -> list[int]:
    return [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text) + 1]


def _sentences(row: Mapping[str, Any]) -> list[int]:
    """Give the sentence of each span, counted from 1."""
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


@dataclass(frozen=True, slots=True)
class Statement:
    """A triple as a document states it: between spans, and so between what they mention.

    Args:
        subject: Span that the document names as subject.
        subject_group: What it mentions, as `Mention.group`.
        relation: Relation id.
        object: Span that the document names as object.
        object_group: What it mentions.
    """

    subject: Span
    subject_group: str
    relation: str
    object: Span
    object_group: str


def placed(
    statements: Sequence[Statement],
    inside: Sequence[Mention],
    inverses: Mapping[str, str] | None = None,
) -> tuple[tuple[tuple[int, str, int], ...], frozenset[tuple[int, str, int]]]:
    """Place triples among the mentions of a window.

    A data set names one pair of mentions for each triple, often from another part of the text.
    It holds of the pair that is named and of the closest one; of others nobody knows.

    Args:
        statements: Triples of the document.
        inside: Mentions of the window.
        inverses: As `SourceConfig.inverses`.

    Returns:
        Triples as (subject index, relation id, object index) into the mentions, and those of which
        nobody knows.
    """
    place = {mention.span: i for i, mention in enumerate(inside)}
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
        if one.subject in place and one.object in place:
            stated[(place[one.subject], one.relation, place[one.object])] = None
        if pairs:
            s, o = min(pairs, key=lambda p: abs(inside[p[0]].span.start - inside[p[1]].span.start))
            stated[(s, one.relation, o)] = None
            doubtful.update((s, one.relation, o) for s, o in pairs)
    turned = {
        (o, inverses[relation], s)
        for s, relation, o in (*stated, *doubtful)
        if inverses and relation in inverses
    }
    return tuple(stated), frozenset((doubtful | turned) - stated.keys())
