"""Training batches of the retriever: windows, passages and hard negatives."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from tokenizers import Tokenizer

from relik.kb.records import encoder_text
from relik.names.normalise import normalise
from relik.text import TextTokenizer
from relik_training.data.examples import Example
from relik_training.data.knowledge_records import Records
from relik_training.data.unlabelled_names import unlabelled_names


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieverSampling:
    """Sampling of windows and passages.

    Args:
        max_tokens: Maximum tokens of a window.
        passage_tokens: Maximum tokens of a record.
        hard_negatives: Namesakes per window.
        name_dropout: Share of passages without their name, so that matching strings do not
            suffice, 0..1.
        relation_negatives: Random relations in each batch, besides the positives.
        seed: Seed of sampling, with the step.
        alias_rate: Share of passages with an alias instead of the name, 0..1.
        spare_named: A record with an unlinked name in a window is no negative of it.
    """

    max_tokens: int
    passage_tokens: int
    hard_negatives: int
    name_dropout: float
    relation_negatives: int
    seed: int
    alias_rate: float = 0.0
    spare_named: bool = False


class RetrieverData:
    """Makes the batch of a step.

    Rows of passages count both knowledge bases: entities first, then relations.

    Args:
        examples: Windows with labels; those without a positive are left out.
        knowledge: Records of entities and of relations.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        knowledge: tuple[Records, Records],
        tokenizer: Tokenizer,
        sampling: RetrieverSampling,
    ) -> None:
        self._relations = knowledge[1]
        self._tokenizer = TextTokenizer(tokenizer)
        self._sampling = sampling
        self.entities = knowledge[0]
        self.examples: list[Example] = []
        self.positives: list[list[int]] = []
        self.namesakes: list[list[int]] = []
        self.windows: list[list[int]] = []
        self.repeats: list[int] = []
        for example in examples:
            positives = self._positives(example)
            if positives:
                self.examples.append(example)
                self.positives.append(positives)
                self.namesakes.append(self._namesakes(example, positives))
                self.repeats.append(example.repeat)
        for first in range(0, len(self.examples), 1024):
            texts = [example.text for example in self.examples[first : first + 1024]]
            self.windows.extend(self._cut(texts, sampling.max_tokens))

    @property
    def lengths(self) -> list[int]:
        """Number of tokens of each window."""
        return [len(ids) for ids in self.windows]

    def records(self, rows: Sequence[int]) -> list[list[int]]:
        """Return the token ids of entities, as the index encodes them."""
        texts = [encoder_text(self.entities.entities[row]) for row in rows]
        return self._cut(texts, self._sampling.passage_tokens)

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
        return RetrieverBatch(
            windows=pad([self.windows[i] for i in chosen]),
            passages=pad(self._cut(texts, self._sampling.passage_tokens)),
            positive=positive,
            ignored=ignored & ~positive,
            step=step,
            texts=(tuple(self.examples[i].text for i in chosen), tuple(texts)),
        )

    def _cut(self, texts: list[str], limit: int) -> list[list[int]]:
        return self._tokenizer.rows(texts, max_tokens=limit)

    def _ignored(self, chosen: Sequence[int], passages: list[int]) -> torch.Tensor:
        """Mark passages whose label is unknown: of a kind that the window does not annotate."""
        n_entities = len(self.entities)
        is_relation = torch.tensor([row >= n_entities for row in passages])
        has_relations = torch.tensor(
            [any(row >= n_entities for row in self.positives[i]) for i in chosen]
        )
        has_entities = torch.tensor(
            [any(row < n_entities for row in self.positives[i]) for i in chosen]
        )
        ignored = (is_relation[None, :] & ~has_relations[:, None]) | (
            ~is_relation[None, :] & ~has_entities[:, None]
        )  # (n_windows, n_passages)
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
                key = normalise(example.text[mention.span.start : mention.span.end])
                found.update(m.row for m in self.entities.lookup(key)[:8])
        return sorted(found - right)
