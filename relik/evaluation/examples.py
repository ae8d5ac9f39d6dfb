"""Example errors in their sentences, spread over verdicts and documents."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias, TypeVar

from relik.evaluation.answers import Answer
from relik.evaluation.counts import found_triples, gold_triples
from relik.evaluation.taxonomy import (
    BELOW_THRESHOLD,
    GOLD_VERDICTS,
    RIGHT,
    SPURIOUS,
    Judged,
    JudgedDocument,
)
from relik.types import EntitySpan, Span

T = TypeVar("T")

MOST = 40
MISSED, WRONG = "missed", "wrong"
TRIPLE_VERDICTS = {
    MISSED: "in gold, and not predicted",
    WRONG: "predicted, and not in gold",
}
"""Errors of triples and their meaning."""

# The full stop of an initial, as in U.S., does not end a sentence.
_SENTENCE_END = re.compile(r"(?<!\b[A-Z])[.!?][\"')\]]*\s+|\n+")
# Most code points of a sentence to show on either side of a mention.
_CONTEXT = 160
_NOTHING = "nothing"

_Ends: TypeAlias = tuple[Span, str, Span]
NameOf: TypeAlias = Callable[[str], str]
"""Returns the name of an id, "" where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of text inside or outside of mentions.

    Args:
        gold: Whether it lies in a gold mention.
        found: Whether it lies in a predicted mention.
    """

    text: str
    gold: bool = False
    found: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An error in its sentence.

    Args:
        verdict: Kind of the error.
        pieces: The sentence, or the sentences of subject and object.
        gold: The gold entity or relations, as text.
        found: The predicted entity or relations, as text.
    """

    verdict: str
    doc_id: str
    pieces: tuple[Piece, ...]
    gold: str
    found: str


def entity_examples(
    documents: Sequence[JudgedDocument], name_of: NameOf, *, most: int = MOST
) -> list[Example]:
    """Choose missed gold mentions, and predictions where gold has no mention.

    Returns:
        At most `most`, by verdict and then in the order of the documents; equally many of each
        verdict where there are enough.
    """
    errors: dict[str, list[tuple[JudgedDocument, Judged]]]
    errors = {verdict: [] for verdict in (*GOLD_VERDICTS, SPURIOUS) if verdict != RIGHT}
    for document in documents:
        spurious = [found for found in document.predictions if found.verdict == SPURIOUS]
        for each in (*document.mentions, *spurious):
            if each.verdict != RIGHT:
                errors[each.verdict].append((document, each))
    return [_entity_example(*error, name_of) for error in spread(errors, most)]


def triple_examples(
    answers: Sequence[Answer], name_of: NameOf, *, entity_ids: bool, most: int = MOST
) -> list[Example]:
    """Choose missed triples and triples that are not in gold; see `entity_examples`."""
    errors: dict[str, list[tuple[str, Answer, _Ends]]] = {
        verdict: [] for verdict in TRIPLE_VERDICTS
    }
    for answer in answers:
        wanted = gold_triples(answer.gold, entity_ids=entity_ids)
        found = found_triples(answer.annotation, entity_ids=entity_ids)
        for key, gold in wanted.items():
            if key not in found:
                ends = gold.subject.span, gold.relation_id, gold.object.span
                errors[MISSED].append((MISSED, answer, ends))
        for key, triple in found.items():
            if key not in wanted:
                ends = triple.subject, triple.relation_id, triple.object
                errors[WRONG].append((WRONG, answer, ends))
    return [_triple_example(*error, name_of) for error in spread(errors, most)]


def spread(groups: Mapping[str, Sequence[T]], most: int) -> list[T]:
    """Choose equally many items from each group, at regular distances.

    Returns:
        At most `most` items, by group and in their order; small groups leave room to the others.
    """
    shares = dict.fromkeys(groups, 0)
    left = most
    while left and any(shares[group] < len(groups[group]) for group in groups):
        for group in groups:
            if left and shares[group] < len(groups[group]):
                shares[group] += 1
                left -= 1
    return [
        items[i * len(items) // shares[group]]
        for group, items in groups.items()
        for i in range(shares[group])
    ]


def excerpt(text: str, gold: Sequence[Span], found: Sequence[Span]) -> tuple[Piece, ...]:
    """Cut out the sentences of mentions, in order, with an ellipsis between them."""
    pieces: list[Piece] = []
    for start, end in _merge_ranges(
        sorted(_sentence_bounds(text, span) for span in (*gold, *found))
    ):
        cuts = {start, end}
        for span in (*gold, *found):
            cuts |= {at for at in (span.start, span.end) if start < at < end}
        if pieces:
            pieces.append(Piece(text=" … "))
        for left, right in pairwise(sorted(cuts)):
            part = Span(left, right)
            pieces.append(
                Piece(
                    text=text[left:right],
                    gold=any(part.overlaps(span) for span in gold),
                    found=any(part.overlaps(span) for span in found),
                )
            )
    return tuple(pieces)


def _entity_example(document: JudgedDocument, error: Judged, name_of: NameOf) -> Example:
    answer = document.answer
    spans = answer.rejected if error.verdict == BELOW_THRESHOLD else answer.annotation.spans
    touching = [found for found in spans if found.span.overlaps(error.span)]
    missed = error.verdict != SPURIOUS
    return Example(
        verdict=error.verdict,
        doc_id=answer.gold.document.doc_id,
        pieces=excerpt(
            answer.gold.document.text,
            [error.span] if missed else [],
            [found.span for found in touching],
        ),
        gold=_name_with_id(error.entity_id, name_of) if missed else _NOTHING,
        found="; ".join(_prediction_text(found, name_of) for found in touching) or _NOTHING,
    )


def _triple_example(verdict: str, answer: Answer, ends: _Ends, name_of: NameOf) -> Example:
    document, annotation = answer.gold.document, answer.annotation
    subject, relation_id, object_ = ends
    gold = [t for t in answer.gold.triples if (t.subject.span, t.object.span) == (subject, object_)]
    found = [t for t in annotation.triples if (t.subject, t.object) == (subject, object_)]
    said = [_name_with_id(relation_id, name_of)]
    wanted = said if verdict == MISSED else [_name_with_id(t.relation_id, name_of) for t in gold]
    got = [f"{_name_with_id(t.relation_id, name_of)}, score {t.score:.3f}" for t in found]
    named = [each.span for each in annotation.spans]
    pair = (subject, object_)
    surfaces = " → ".join(document.text[span.start : span.end] for span in pair)
    return Example(
        verdict=verdict,
        doc_id=document.doc_id,
        pieces=excerpt(
            document.text,
            pair if verdict == MISSED or gold else (),
            [span for span in named if any(span.overlaps(end) for end in pair)],
        ),
        gold=f"{surfaces}: {'; '.join(wanted) or _NOTHING}",
        found=f"{surfaces}: {'; '.join(got) or _NOTHING}",
    )


def _prediction_text(found: EntitySpan, name_of: NameOf) -> str:
    entity = "NIL" if found.entity_id is None else _name_with_id(found.entity_id, name_of)
    return f"{entity}, score {found.score:.3f}"


def _name_with_id(record_id: str, name_of: NameOf) -> str:
    name = name_of(record_id)
    return f"{name} ({record_id})" if name else record_id


def _sentence_bounds(text: str, span: Span) -> tuple[int, int]:
    left, right = max(0, span.start - _CONTEXT), min(len(text), span.end + _CONTEXT)
    start = left
    if left:
        space = text.find(" ", left, span.start)
        start = left if space < 0 else space + 1
    for found in _SENTENCE_END.finditer(text, left, span.start):
        start = found.end()
    after = _SENTENCE_END.search(text, span.end, right)
    return start, after.end() if after else right


def _merge_ranges(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in ranges:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
