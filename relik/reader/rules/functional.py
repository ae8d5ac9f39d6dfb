"""Functional relations: of a relation with one object for each subject, only the best stands."""

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace

from relik.reader.rules.sentences import Sentences
from relik.types import Annotation, Span, Triple

Thing = str | Span
"""What an end of a triple stands for: a record, or the mention where it is linked to none."""
Worth = tuple[float, ...]
_LEAST = 1e-6
_FAR = 60
"""Characters between two mentions that cost a triple one unit of its log-odds."""


def best_values(
    annotation: Annotation,
    text: str,
    functional: Iterable[str],
    inverse_functional: Iterable[str],
) -> Annotation:
    """Keep the best object of each subject where a relation has one, and the best subject likewise.

    Mentions of one record are one subject, or object. A village lies in one district, a company has
    one seat. In OWL such relations are functional and inverse functional properties. What one
    sentence says is better than what two say, and "Redmond" better than what follows it in
    "Redmond, Washington"; else the score decides, and of like scores the nearer mentions.

    Args:
        annotation: What was found in a document.
        text: Its text.
        functional: Ids of relations of which a subject has one object.
        inverse_functional: Ids of relations of which an object has one subject.

    Returns:
        The same, without the triples of those relations that are worth less than another.
    """
    one_object, one_subject = frozenset(functional), frozenset(inverse_functional)
    looked = one_object | one_subject
    if not any(triple.relation_id in looked for triple in annotation.triples):
        return annotation
    ends, worth = ends_of(annotation), _Worth(annotation, text)

    def by_subject(triple: Triple) -> tuple[Hashable, Hashable]:
        return (triple.relation_id, ends(triple)[0]), ends(triple)[1]

    def by_object(triple: Triple) -> tuple[Hashable, Hashable]:
        return (triple.relation_id, ends(triple)[1]), ends(triple)[0]

    found = best_of(annotation, by_subject, worth, most=1, among=one_object)
    return best_of(found, by_object, worth, most=1, among=one_subject)


class _Worth:
    """Tells better triples from worse ones with the same relation.

    Args:
        annotation: All triples.
        text: Its text.
    """

    def __init__(self, annotation: Annotation, text: str) -> None:
        self._ends, self._sentences, self._text = ends_of(annotation), Sentences(text), text
        self._told = {self._place(triple, triple.object.end) for triple in annotation.triples}

    def __call__(self, triple: Triple) -> Worth:
        begin = triple.object.start - len(", ")
        behind = (
            self._text.startswith(", ", max(0, begin)) and self._place(triple, begin) in self._told
        )
        first, last = sorted((triple.subject, triple.object))
        score = min(max(triple.score, _LEAST), 1 - _LEAST)
        return (
            self._sentences.of(first) == self._sentences.of(last),
            not behind,
            math.log(score / (1 - score)) - (last.start - first.end) / _FAR,
        )

    def _place(self, triple: Triple, end: int) -> tuple[str, Thing, int]:
        """Tell where an object ends, and of which relation and subject."""
        return triple.relation_id, self._ends(triple)[0], end


def best_of(
    annotation: Annotation,
    part: Callable[[Triple], tuple[Hashable, Hashable]],
    worth: Callable[[Triple], Worth],
    *,
    most: int,
    among: frozenset[str] | None = None,
) -> Annotation:
    """Keep the triples whose second part is among the best of all with the same first part.

    Args:
        annotation: With triples.
        part: Gives the two parts of a triple.
        worth: Tells better triples from worse; of those with the same parts the best counts.
        most: So many second parts are kept of each first one.
        among: Ids of the relations that are looked at; others stay. None: all.
    """
    looked = [
        (triple, *part(triple))
        for triple in annotation.triples
        if among is None or triple.relation_id in among
    ]
    worths: dict[Hashable, dict[Hashable, Worth]] = {}
    for triple, first, second in looked:
        of_first = worths.setdefault(first, {})
        of_first[second] = max(worth(triple), of_first.get(second, ()))
    # Of two that are worth the same the lesser name stays, so that the answer is always one.
    best = {
        first: set(sorted(sorted(seconds, key=str), key=seconds.__getitem__, reverse=True)[:most])
        for first, seconds in worths.items()
    }
    dropped = {triple for triple, first, second in looked if second not in best[first]}
    if not dropped:
        return annotation
    kept = tuple(triple for triple in annotation.triples if triple not in dropped)
    return replace(annotation, triples=kept)


def ends_of(annotation: Annotation) -> Callable[[Triple], tuple[Thing, Thing]]:
    """Return what gives the things at both ends of a triple."""
    thing: dict[Span, Thing] = {
        span.span: span.entity_id if span.entity_id is not None else span.span
        for span in annotation.spans
    }

    def ends(triple: Triple) -> tuple[Thing, Thing]:
        return (
            thing.get(triple.subject, triple.subject),
            thing.get(triple.object, triple.object),
        )

    return ends
