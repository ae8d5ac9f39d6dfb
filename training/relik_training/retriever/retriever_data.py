"""Training batches of the retriever: windows, passages and hard negatives."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from tokenizers import Tokenizer

from relik.kb.records import encoder_text
from relik.names.normalise import normalise
from relik.reader.inputs import in_batches
from relik.text import TextTokenizer
from relik_training.data.examples import Example
from relik_training.data.knowledge_records import Records
from relik_training.data.unlabelled_names import unlabelled_names
from relik_training.recipes.recipe import RetrieverTraining

# Padded tokens of a batch that is encoded without gradients.
_BATCH_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Tokens:
    """A padded batch of token ids.

    Args:
        ids: Int64, (batch, n_tokens).
        mask: Int64, (batch, n_tokens), 1 on tokens.
    """

    ids: torch.Tensor
    mask: torch.Tensor

    def to(self, device: torch.device) -> "Tokens":
        """Copy to a device."""
        return Tokens(self.ids.to(device), self.mask.to(device))


@dataclass(frozen=True, slots=True)
class RetrieverBatch:
    """Windows and passages with their labels.

    Args:
        windows: Tokens of the windows, (n_windows, n_tokens).
        passages: Tokens of records, positives and negatives, (n_passages, n_tokens).
        positive: Bool, (n_windows, n_passages).
        ignored: Bool, (n_windows, n_passages), neither positive nor negative.
        step: Step of the run, which seeds dropout.
        texts: The texts of windows and passages, for a teacher.
    """

    windows: Tokens
    passages: Tokens
    positive: torch.Tensor
    ignored: torch.Tensor
    step: int
    texts: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


def pad(rows: Sequence[Sequence[int]]) -> Tokens:
    """Pad token ids on the right to the longest row."""
    width = max((len(row) for row in rows), default=1)
    ids = torch.zeros((len(rows), width), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
        mask[i, : len(row)] = 1
    return Tokens(ids, mask)


def encode_by_length(
    rows: Sequence[Sequence[int]], encode: Callable[[Tokens], torch.Tensor]
) -> torch.Tensor:
    """Encode token ids in batches of like length, to save padding.

    Args:
        rows: Token ids of each text, at least one.
        encode: Encodes a padded batch, (batch, n_tokens), to vectors (batch, dim).

    Returns:
        Vectors, (n, dim), in the order given.
    """
    batches = in_batches([len(row) for row in rows], most=_BATCH_TOKENS)
    vectors = torch.cat([encode(pad([rows[k] for k in batch])) for batch in batches])
    order = torch.tensor([k for batch in batches for k in batch])
    return vectors[order.argsort().to(vectors.device)]  # (n, dim)


class RetrieverData:
    """Makes the batch of a step.

    Rows of passages count both knowledge bases: entities first, then relations.

    Args:
        examples: Windows with labels; those without a positive are left out.
        knowledge: Records of entities and of relations.
        sampling: How windows and passages are cut and drawn.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        knowledge: tuple[Records, Records],
        tokenizer: Tokenizer,
        sampling: RetrieverTraining,
    ) -> None:
        self._relations = knowledge[1]
        self._tokenizer = TextTokenizer(tokenizer)
        self._sampling = sampling
        self.entities = knowledge[0]
        kept = [(example, rows) for example in examples if (rows := self._positives(example))]
        self.examples = [example for example, _ in kept]
        self.positives = [rows for _, rows in kept]
        self.namesakes = [self._namesakes(example, rows) for example, rows in kept]
        self.repeats = [example.repeat for example in self.examples]
        self.windows: list[list[int]] = []
        for first in range(0, len(self.examples), 1024):
            texts = [example.text for example in self.examples[first : first + 1024]]
            self.windows.extend(self._tokenizer.rows(texts, max_tokens=sampling.max_tokens))
        self.lengths = [len(ids) for ids in self.windows]

    def records(self, rows: Sequence[int]) -> list[list[int]]:
        """Return the token ids of entities, as the index encodes them."""
        texts = [encoder_text(self.entities.entities[row]) for row in rows]
        return self._tokenizer.rows(texts, max_tokens=self._sampling.passage_tokens)

    def batch(
        self, chosen: Sequence[int], step: int, mined: Mapping[int, Sequence[int]] | None = None
    ) -> RetrieverBatch:
        """Make the batch of a step.

        Args:
            mined: Rows of hard negatives, by window.
        """
        rng = np.random.default_rng([self._sampling.seed, step])
        counts: Counter[int] = Counter()
        for i in chosen:
            counts.update(self.positives[i])
            namesakes = self.namesakes[i]
            n_drawn = min(len(namesakes), self._sampling.hard_negatives)
            counts.update(int(n) for n in rng.choice(namesakes, n_drawn, replace=False) if n_drawn)
            counts.update((mined or {}).get(i, ()))
        if any(row >= len(self.entities) for row in counts):
            # A batch has few positive relations; random ones are further negatives.
            n_drawn = min(self._sampling.relation_negatives, len(self._relations))
            drawn = rng.choice(len(self._relations), n_drawn, replace=False)
            counts.update(int(row) + len(self.entities) for row in drawn)
        passages = sorted(counts)
        column = {row: j for j, row in enumerate(passages)}
        positive = torch.zeros((len(chosen), len(passages)), dtype=torch.bool)
        for i, window in enumerate(chosen):
            positive[i, [column[row] for row in self.positives[window]]] = True
        ignored = self._ignored(chosen, passages)
        texts = [self._passage(row, rng) for row in passages]
        cut = self._tokenizer.rows(texts, max_tokens=self._sampling.passage_tokens)
        return RetrieverBatch(
            windows=pad([self.windows[i] for i in chosen]),
            passages=pad(cut),
            positive=positive,
            ignored=ignored & ~positive,
            step=step,
            texts=(tuple(self.examples[i].text for i in chosen), tuple(texts)),
        )

    def _ignored(self, chosen: Sequence[int], passages: list[int]) -> torch.Tensor:
        """Mark passages whose label is unknown: of a kind that the window does not annotate."""
        n_entities = len(self.entities)
        is_relation = torch.tensor([row >= n_entities for row in passages])
        # Positives are sorted, entities first.
        ends = [(self.positives[i][0], self.positives[i][-1]) for i in chosen]
        annotated = torch.tensor([[first < n_entities, last >= n_entities] for first, last in ends])
        ignored = ~annotated[:, is_relation.long()]  # (n_windows, n_passages)
        if self._sampling.spare_named:
            for i, window in enumerate(chosen):
                named = unlabelled_names(self.examples[window], self.entities)
                ignored[i] |= torch.tensor([row in named for row in passages])
        return ignored

    def _passage(self, row: int, rng: np.random.Generator) -> str:
        if row >= len(self.entities):
            return encoder_text(self._relations.entities[row - len(self.entities)])
        entity = self.entities.entities[row]
        if entity.description and rng.random() < self._sampling.name_dropout:
            return entity.description
        rate = self._sampling.alias_rate
        if rate and entity.aliases and rng.random() < rate:
            entity = replace(entity, name=entity.aliases[rng.integers(len(entity.aliases))])
        return encoder_text(entity)

    def _positives(self, example: Example) -> list[int]:
        rows = {self.entities.row_of(m.entity_id) for m in example.mentions if m.entity_id}
        for _, relation, _ in example.triples:
            row = self._relations.row_of(relation)
            rows.add(None if row is None else row + len(self.entities))
        return sorted(row for row in rows if row is not None)

    def _namesakes(self, example: Example, positives: list[int]) -> list[int]:
        right = set(positives)
        found: set[int] = set()
        for mention in example.mentions:
            if mention.entity_id:
                key = normalise(example.surface(mention))
                found.update(m.row for m in self.entities.lookup(key)[:8])
        return sorted(found - right)
