"""Pairs of mentions with their relation, and batches of them for an encoder of both."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from tokenizers import Tokenizer

from relik.kb.records import encoder_text
from relik.retriever.pairs import pair_text
from relik.text import TextTokenizer
from relik.types import Document, Entity, MentionPair
from relik_training.data.examples import Example
from relik_training.recipes.relation_settings import RelationSampling
from relik_training.retriever.retriever_data import RetrieverBatch, pad

_MOST_ALIASES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedPair:
    """A pair of mentions and a relation between them.

    Args:
        doc_id: Where it comes from.
        text: Both mentions and the text around them, as of `pair_text`.
        relation: The relation.
        others: Relations of which nobody can say that they do not hold.
        repeat: How often it comes in an epoch.
    """

    doc_id: str
    text: str
    relation: str
    others: frozenset[str] = frozenset()
    repeat: int = 1


def pairs_of(examples: Iterable[Example]) -> Iterator[RelatedPair]:
    """Give the related pairs of windows.

    Args:
        examples: Windows with triples.

    Yields:
        A pair for each triple, in order.
    """
    for example in examples:
        document = Document(doc_id=example.doc_id, text=example.text)
        for subject, relation, object_ in example.triples:
            ends = example.mentions[subject].span, example.mentions[object_].span
            yield RelatedPair(
                doc_id=example.doc_id,
                text=pair_text(document, MentionPair(subject=ends[0], object=ends[1])),
                relation=relation,
                others=frozenset(
                    r
                    for s, r, o in (*example.triples, *example.doubtful)
                    if (s, o) == (subject, object_) and r != relation
                ),
                repeat=example.repeat,
            )


def at_most(pairs: Sequence[RelatedPair], most: int, seed: int) -> list[RelatedPair]:
    """Keep a sample of the pairs of each relation, so that none is learned before all others.

    Args:
        pairs: Pairs of a data set.
        most: Most pairs of a relation; 0 keeps all.
        seed: Seed of the sample.

    Returns:
        Those that stay, in order.
    """
    if not most:
        return list(pairs)
    taken: dict[str, int] = {}
    kept: list[int] = []
    for at in np.random.default_rng(seed).permutation(len(pairs)):
        relation = pairs[at].relation
        taken[relation] = taken.get(relation, 0) + 1
        if taken[relation] <= most:
            kept.append(int(at))
    return [pairs[at] for at in sorted(kept)]


class RelationData:
    """Makes the batch of a step: pairs, and the texts of the relations that some of them have.

    So each relation is right about as often as it is wrong for others, and no text is known for
    being wrong.

    Args:
        pairs: Pairs; those without a record of their relation are left out.
        relations: Records of relations.
        tokenizer: Its post-processor adds the special tokens.
        sampling: How texts are drawn and cut.
    """

    def __init__(
        self,
        pairs: Sequence[RelatedPair],
        *,
        relations: Sequence[Entity],
        tokenizer: Tokenizer,
        sampling: RelationSampling,
    ) -> None:
        self._sampling = sampling
        known = {each.entity_id: each for each in relations}
        self._pairs = [pair for pair in pairs if pair.relation in known]
        entrance = TextTokenizer(tokenizer)
        self._rows = entrance.rows([p.text for p in self._pairs], max_tokens=sampling.max_tokens)
        self._told = {
            key: entrance.rows(_tellings(known[key]), max_tokens=sampling.relation_tokens)
            for key in sorted({pair.relation for pair in self._pairs})
        }

    @property
    def lengths(self) -> list[int]:
        """Return the tokens of each pair."""
        return [len(row) for row in self._rows]

    @property
    def repeats(self) -> list[int]:
        """Return how often each pair comes in an epoch."""
        return [pair.repeat for pair in self._pairs]

    def batch(self, chosen: Sequence[int], step: int) -> RetrieverBatch:
        """Make the batch of a step.

        Args:
            chosen: Positions of the pairs.
            step: Step of the run.

        Returns:
            The batch: pairs as windows, relations as passages.
        """
        rng = np.random.default_rng([self._sampling.seed, step])
        pairs = [self._pairs[i] for i in chosen]
        relations = sorted({pair.relation for pair in pairs})
        return RetrieverBatch(
            windows=pad([self._rows[i] for i in chosen]),
            passages=pad([self._draw(key, rng) for key in relations]),
            positive=torch.tensor([[p.relation == key for key in relations] for p in pairs]),
            ignored=torch.tensor([[key in p.others for key in relations] for p in pairs]),
            step=step,
        )

    def answers(self, most: int) -> tuple[list[list[int]], list[list[int]], list[set[int]]]:
        """Draw pairs to measure on.

        Args:
            most: Most pairs.

        Returns:
            Token ids of each pair; token ids of each relation that any pair has; the position of
            the relation of each pair.
        """
        keys = sorted(self._told)
        chosen = np.random.default_rng(0).permutation(len(self._pairs))[:most]
        return (
            [self._rows[i] for i in chosen],
            [self._told[key][0] for key in keys],
            [{keys.index(self._pairs[i].relation)} for i in chosen],
        )

    def _draw(self, relation: str, rng: np.random.Generator) -> list[int]:
        told = self._told[relation]
        if rng.random() >= self._sampling.other_words:
            return told[0]
        return told[int(rng.integers(1, len(told)))]


def _tellings(relation: Entity) -> list[str]:
    """Tell a relation as it is indexed; by its name alone; by its aliases."""
    told = [relation, replace(relation, description="")]
    told += [replace(relation, name=name) for name in relation.aliases[:_MOST_ALIASES]]
    return [encoder_text(each) for each in told]
