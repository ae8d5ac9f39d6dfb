"""Training pairs of mentions and relations, and their batches for the relation encoder."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from tokenizers import Tokenizer

from relik.kb.records import encoder_text
from relik.retriever.pairs import pair_text
from relik.text import TextTokenizer
from relik.types import Entity, MentionPair
from relik_training.data.examples import Example
from relik_training.recipes.relation_settings import RelationSampling
from relik_training.retriever.retriever_data import RetrieverBatch, pad

_MAX_ALIASES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedPair:
    """A pair of mentions and a relation between them.

    Args:
        text: Both mentions with their context, by `pair_text`.
        others: Other relations that hold or may hold: no negatives.
        repeat: Times per epoch.
    """

    doc_id: str
    text: str
    relation: str
    others: frozenset[str] = frozenset()
    repeat: int = 1


def pairs_of(examples: Iterable[Example]) -> Iterator[RelatedPair]:
    """Yield a pair for each triple, in order."""
    for example in examples:
        for subject, relation, object_ in example.triples:
            ends = example.mentions[subject].span, example.mentions[object_].span
            yield RelatedPair(
                doc_id=example.doc_id,
                text=pair_text(example.document, MentionPair(subject=ends[0], object=ends[1])),
                relation=relation,
                others=frozenset(
                    r
                    for s, r, o in (*example.triples, *example.doubtful)
                    if (s, o) == (subject, object_) and r != relation
                ),
                repeat=example.repeat,
            )


def at_most(pairs: Sequence[RelatedPair], most: int, seed: int) -> list[RelatedPair]:
    """Sample the pairs of each relation, in order, so that no relation dominates.

    Args:
        most: Maximum pairs of a relation; 0 for all.
    """
    if not most:
        return list(pairs)
    counts: dict[str, int] = {}
    kept: list[int] = []
    for at in np.random.default_rng(seed).permutation(len(pairs)):
        relation = pairs[at].relation
        counts[relation] = counts.get(relation, 0) + 1
        if counts[relation] <= most:
            kept.append(int(at))
    return [pairs[at] for at in sorted(kept)]


class RelationData:
    """Makes the batch of a step: pairs, and the texts of their relations as in-batch negatives.

    Each relation is thus a positive about as often as a negative, and no text is always negative.

    Args:
        pairs: Pairs; those whose relation has no record are left out.
        tokenizer: Its post-processor adds special tokens.
        sampling: How to draw and truncate texts.
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
        self.lengths = [len(row) for row in self._rows]
        self.repeats = [pair.repeat for pair in self._pairs]
        self._phrasings = {
            key: entrance.rows(_phrasings(known[key]), max_tokens=sampling.relation_tokens)
            for key in sorted({pair.relation for pair in self._pairs})
        }

    def batch(self, chosen: Sequence[int], step: int) -> RetrieverBatch:
        """Make the batch of a step."""
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
        """Draw pairs for an evaluation during training.

        Args:
            most: Maximum number of pairs.

        Returns:
            Token ids of each pair; token ids of each relation of the data; the position of the
            relation of each pair.
        """
        keys = sorted(self._phrasings)
        chosen = np.random.default_rng(0).permutation(len(self._pairs))[:most]
        return (
            [self._rows[i] for i in chosen],
            [self._phrasings[key][0] for key in keys],
            [{keys.index(self._pairs[i].relation)} for i in chosen],
        )

    def _draw(self, relation: str, rng: np.random.Generator) -> list[int]:
        phrasings = self._phrasings[relation]
        if rng.random() >= self._sampling.other_words:
            return phrasings[0]
        return phrasings[int(rng.integers(1, len(phrasings)))]


def _phrasings(relation: Entity) -> list[str]:
    """Return the texts of a relation: as indexed, without description, and by its aliases."""
    variants = [relation, replace(relation, description="")]
    variants += [replace(relation, name=name) for name in relation.aliases[:_MAX_ALIASES]]
    return [encoder_text(each) for each in variants]
