"""What triples of one document say of each other."""

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace

from relik.config import ReaderConfig, RulesConfig
from relik.reader.rules.adjectives import Rows, in_scope
from relik.reader.rules.priors import name_shares
from relik.reader.rules.sentences import Sentences
from relik.types import Annotation, Span, Triple

Thing = str | Span
"""What an end of a triple stands for: a record, or the mention where it is linked to none."""
Worth = tuple[float, ...]
_LEAST = 1e-6
_FAR = 60
"""Characters between two mentions that cost a triple one unit of its log-odds."""


def refined(
    annotation: Annotation, text: str, *, kb: Rows, config: ReaderConfig, rules: RulesConfig
) -> Annotation:
    """Drop triples that do not stand beside the others.

    Args:
        annotation: What was found in a document.
        text: Its text.
        kb: Knowledge base of the entities.
        config: `relations_per_pair`.
        rules: `adjective_scope`, `functional` and `inverse_functional`.

    Returns:
        The same, without triples that `without_loops`, `in_scope`, `best_values` and
        `best_relations` drop.
    """
    found = without_loops(annotation, text, kb)
    if rules.adjective_scope:
        found = in_scope(found, text, kb)
    # Before relations of a pair: a village is in its district alone, so that of its country
    # another relation is the best.
    found = best_values(found, text, rules.functional, rules.inverse_functional)
    return best_relations(found, config.relations_per_pair)


def without_loops(annotation: Annotation, text: str, kb: Rows) -> Annotation:
    """Drop triples between two mentions of the same record.

    No statement of a knowledge base relates a record to itself; such a triple comes from a mention
    that is linked wrongly. Where records are kinds of things, as with types in place of entities,
    two mentions of one record are two things: there no mention has the name of its record, and
    nothing is dropped.

    Args:
        annotation: What was found in a document.
        text: Its text.
        kb: Knowledge base of the entities.

    Returns:
        The same, without those triples.
    """
    entity = {span.span: span.entity_id for span in annotation.spans}
    loops = {triple for triple in annotation.triples if _is_loop(triple, entity)}
    # Once for each mention, however many relations it has: a client may ask for all of them.
    named = {
        end
        for end in {end for triple in loops for end in (triple.subject, triple.object)}
        if kb.row_of(entity[end] or "") in name_shares(kb, text[end.start : end.end])
    }
    kept = tuple(
        triple
        for triple in annotation.triples
        if triple not in loops or named.isdisjoint((triple.subject, triple.object))
    )
    return annotation if len(kept) == len(annotation.triples) else replace(annotation, triples=kept)


def best_relations(annotation: Annotation, most: int) -> Annotation:
    """Keep the best relations of each subject and object.

    Mentions of one record are one subject, or object. Knowledge graphs and data sets often have one
    relation where several hold ("country" where "located in" would do).

    Args:
        annotation: What was found in a document.
        most: Most relations of a subject and an object, by the best score; 0 keeps all.

    Returns:
        The same, with the triples of those relations.
    """
    if not most:
        return annotation
    ends = _ends(annotation)
    return _best(
        annotation,
        lambda triple: (ends(triple), triple.relation_id),
        lambda triple: (triple.score,),
        most=most,
    )


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
    ends, worth = _ends(annotation), _Worth(annotation, text)

    def by_subject(triple: Triple) -> tuple[Hashable, Hashable]:
        return (triple.relation_id, ends(triple)[0]), ends(triple)[1]

    def by_object(triple: Triple) -> tuple[Hashable, Hashable]:
        return (triple.relation_id, ends(triple)[1]), ends(triple)[0]

    found = _best(annotation, by_subject, worth, most=1, among=one_object)
    return _best(found, by_object, worth, most=1, among=one_subject)


class _Worth:
    """Tells better triples from worse ones with the same relation.

    Args:
        annotation: All triples.
        text: Its text.
    """

    def __init__(self, annotation: Annotation, text: str) -> None:
        self._ends, self._sentences, self._text = _ends(annotation), Sentences(text), text
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


def _best(
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


def _ends(annotation: Annotation) -> Callable[[Triple], tuple[Thing, Thing]]:
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


def _is_loop(triple: Triple, entity: dict[Span, str | None]) -> bool:
    record = entity.get(triple.subject)
    apart = triple.subject != triple.object
    return apart and record is not None and record == entity.get(triple.object)
