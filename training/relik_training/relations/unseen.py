"""Zero-shot evaluation of relations: a random set that is left out of training."""

import random
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path

from relik.errors import ConfigError, InputError
from relik_training.data.examples import Example
from relik_training.data.json_lines import read_jsonl
from relik_training.recipes.recipe_files import check_files_of_data
from relik_training.recipes.relation_settings import Unseen

HIDDEN = ""
"""Placeholder for a left-out relation in `Example.doubtful`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Relations that are left out of training, in the order of their draw.

    Args:
        unseen: Test relations.
        apart: Development relations, to choose settings by.
    """

    unseen: tuple[str, ...]
    apart: tuple[str, ...] = ()

    @property
    def measured(self) -> tuple[str, ...]:
        """Relations to evaluate on: the development ones, if any, else the test ones."""
        return self.apart or self.unseen

    @property
    def all(self) -> frozenset[str]:
        """All of them."""
        return frozenset((*self.unseen, *self.apart))


def draw_unseen(unseen: Unseen, data: Path) -> LeftOut:
    """Draw the left-out relations, or take those that the recipe names.

    Raises:
        ConfigError: The data set is missing, or has too few relations.
    """
    if unseen.relations:
        return LeftOut(unseen=unseen.relations)
    path = data / unseen.source
    check_files_of_data(data, [unseen.source])
    found = sorted({relation for row in read_jsonl(path) for relation in _relations(row)})
    if len(found) < unseen.count + unseen.apart:
        raise ConfigError(
            f"{path}: has {len(found)} relations, expected at least "
            f"{unseen.count + unseen.apart}: draw fewer"
        )
    # Python's own generator gives the same sample on every machine.
    drawn = random.Random(unseen.draw).sample(found, unseen.count)  # noqa: S311  # a sample, no secret
    rest = [relation for relation in found if relation not in drawn]
    apart = random.Random(unseen.draw).sample(rest, unseen.apart)  # noqa: S311  # a sample, no secret
    return LeftOut(unseen=tuple(drawn), apart=tuple(apart))


def texts_of(path: Path, relations: Set[str]) -> Iterator[dict[str, object]]:
    """Yield the texts of a data set that have one of the relations, in order.

    Raises:
        InputError: No text has one.
    """
    count = 0
    for row in read_jsonl(path):
        if relations & set(_relations(row)):
            count += 1
            yield row
    if not count:
        raise InputError(
            f"{path}: got no text with one of {sorted(relations)}, expected some: check [unseen]"
        )


def without_relations(examples: Iterable[Example], relations: Set[str]) -> Iterator[Example]:
    """Remove relations from examples without making their pairs negative.

    Yields:
        Windows with another relation. All triples between a pair of mentions with a left-out
        relation are doubtful, in both directions, so that nothing is learned from the pair.
    """
    for example in examples:
        stated = tuple(t for t in example.triples if t[1] not in relations)
        if not stated:
            continue
        hidden = [
            (subject, object_)
            for subject, relation, object_ in (*example.triples, *example.doubtful)
            if relation in relations
        ]
        doubtful = {t for t in example.doubtful if t[1] not in relations}
        for subject, object_ in hidden:
            doubtful |= {(subject, HIDDEN, object_), (object_, HIDDEN, subject)}
        pairs = {(s, o) for s, r, o in doubtful if r == HIDDEN}
        kept = tuple(t for t in stated if (t[0], t[2]) not in pairs)
        if kept:
            yield replace(example, triples=kept, doubtful=frozenset(doubtful))


def _relations(row: dict[str, object]) -> list[str]:
    triples = row.get("triples")
    return [str(triple[1]) for triple in triples] if isinstance(triples, list) else []
