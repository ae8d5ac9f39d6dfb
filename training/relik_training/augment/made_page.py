"""A page that is made from a knowledge base, as it grows: its text with what is known of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from relik.types import Span
from relik_training.data.examples import Example
from relik_training.data.statements import Mention

T = TypeVar("T")


@dataclass(slots=True)
class MadePage:
    """Text with mentions and triples.

    Args:
        capitals: Everything is written in capitals.
        text: What is written so far.
        mentions: Its names.
        triples: (subject index, relation id, object index) into `mentions`.
        doubtful: Triples that may be true.
        unknown: Spans that may be mentions.
    """

    capitals: bool = False
    text: str = ""
    mentions: list[Mention] = field(default_factory=list)
    triples: set[tuple[int, str, int]] = field(default_factory=set)
    doubtful: set[tuple[int, str, int]] = field(default_factory=set)
    unknown: list[Span] = field(default_factory=list)

    def say(self, words: str, *, unknown: bool = False) -> None:
        """Write words that name nothing.

        Args:
            words: The words.
            unknown: They may be a mention after all.
        """
        start = len(self.text)
        self.text += words.upper() if self.capitals else words
        if unknown and words:
            self.unknown.append(Span(start, len(self.text)))

    def name(self, entity_id: str, form: str) -> int:
        """Write a mention.

        Args:
            entity_id: What it means.
            form: What it is called.

        Returns:
            Its index.
        """
        start = len(self.text)
        self.say(form)
        span = Span(start, len(self.text))
        self.mentions.append(Mention(span=span, entity_id=entity_id, group=entity_id))
        return len(self.mentions) - 1

    def example(self, doc_id: str, *, relations: str) -> Example:
        """Give the page as a window.

        Args:
            doc_id: Its id.
            relations: As `SourceConfig.relations`.

        Returns:
            The window, without space at its end.
        """
        return Example(
            doc_id=doc_id,
            index=0,
            text=self.text.rstrip(),
            mentions=tuple(self.mentions),
            triples=tuple(sorted(self.triples)),
            doubtful=frozenset(self.doubtful - self.triples),
            unknown=tuple(self.unknown),
            relations=relations,
        )


def one(items: Sequence[T], rng: np.random.Generator) -> T:
    """Draw an item.

    Args:
        items: At least one.
        rng: Where chance comes from.

    Returns:
        One of them.
    """
    return items[int(rng.integers(len(items)))]


def some(items: Sequence[T], n: int, rng: np.random.Generator) -> list[T]:
    """Draw different items.

    Args:
        items: Any number.
        n: How many.
        rng: Where chance comes from.

    Returns:
        As many, or all of them in another order.
    """
    chosen = rng.choice(len(items), min(n, len(items)), replace=False)
    return [items[int(i)] for i in chosen]


def article(word: str) -> str:
    """Give the indefinite article that stands before a word.

    Args:
        word: The word.

    Returns:
        "a" or "an", by its first letter, and a space.
    """
    return "an " if word[:1].casefold() in "aeiou" else "a "
