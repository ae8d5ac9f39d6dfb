"""A synthetic page under construction: text, mentions and triples; and random choices for it."""

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
    """A synthetic page.

    Args:
        capitals: Write everything in capitals.
        triples: (subject, relation id, object), indices of `mentions`.
        doubtful: Triples that may be true: neither positive nor negative for training.
        unknown: Spans that may be mentions: neither positive nor negative for training.
    """

    capitals: bool = False
    text: str = ""
    mentions: list[Mention] = field(default_factory=list)
    triples: set[tuple[int, str, int]] = field(default_factory=set)
    doubtful: set[tuple[int, str, int]] = field(default_factory=set)
    unknown: list[Span] = field(default_factory=list)

    def say(self, words: str, *, unknown: bool = False) -> None:
        """Append text without a mention.

        Args:
            unknown: Mark it as a span that may be a mention.
        """
        start = len(self.text)
        self.text += words.upper() if self.capitals else words
        if unknown and words:
            self.unknown.append(Span(start, len(self.text)))

    def name(self, entity_id: str, form: str) -> int:
        """Append a mention and return its index.

        Args:
            entity_id: "" for NIL.
            form: Its surface form.
        """
        start = len(self.text)
        self.say(form)
        span = Span(start, len(self.text))
        self.mentions.append(Mention(span=span, entity_id=entity_id, group=entity_id))
        return len(self.mentions) - 1

    def example(self, doc_id: str, *, relations: str) -> Example:
        """Return the page as a window, without white space at its end.

        Args:
            relations: As `SourceConfig.relations`.
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


def draw_one(items: Sequence[T], rng: np.random.Generator) -> T:
    """Draw one of the items, of which there is at least one."""
    return items[int(rng.integers(len(items)))]


def sample(items: Sequence[T], n: int, rng: np.random.Generator) -> list[T]:
    """Draw `n` items without replacement, or all of them in random order if there are fewer."""
    chosen = rng.choice(len(items), min(n, len(items)), replace=False)
    return [items[int(i)] for i in chosen]


def article(word: str) -> str:
    """Return "a " or "an ", by the first letter of the word."""
    return "an " if word[:1].casefold() in "aeiou" else "a "
