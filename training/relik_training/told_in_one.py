"""Which triples of a document one of its sentences may state.

Distant labels, and those that annotators inferred from a whole document, hold of pairs that no
sentence relates. For an extractor that is to say what a text says, such a pair is an example of no
relation. Two sieves: both ends stand in one sentence, as in the sentence-level setting of Mintz et
al. (ACL 2009), and that sentence has a word of the relation, where a recipe gives some, as trigger
words do in event extraction ("border" for two countries that share one).
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

FARTHEST = 250
"""Characters between the beginnings of two ends, beyond which a long sentence says little."""

# A letter before the stop keeps initials together; some sets set a space before it.
_SENTENCE_END = re.compile(r"(?<=[a-z\d\)\"\]]{2}) ?[.!?][\"')\]]*\s+(?=[A-Z\"'(\[])|\n+")


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
