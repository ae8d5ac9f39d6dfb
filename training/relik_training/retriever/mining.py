"""Hard negatives that the encoder being trained finds itself.

Source: approximate nearest neighbour negatives (Xiong et al. 2021, ANCE), mined anew every so
many steps; negatives that come too close to the positive are left out (Moreira et al. 2024,
NV-Retriever), and so is what Wikipedia names without linking it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch

from relik.names.normalise import normalise
from relik.types import IntArray
from relik_training.data.unlabelled_names import unlabelled_names
from relik_training.recipes.retriever_settings import Mining
from relik_training.retriever.retriever_data import RetrieverBatch, RetrieverData, pad
from relik_training.retriever.retriever_module import RetrieverModule
from relik_training.run.backbone import best_precision

Encode: TypeAlias = Callable[[Sequence[list[int]]], torch.Tensor]
"""Encodes token ids to float32 vectors, (n, dim), L2-normalised."""

# The best records of a window that are looked through for negatives.
_DEPTH = 128
_QUERIES = 256
# Texts that are sorted by length together.
_TEXTS = 8192
_BATCH_TOKENS = 8192
_HALVES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class MiningSource:
    """Batches of a retriever with mined negatives; takes the place of its data.

    What is mined for the steps up to the next mining is a part of every checkpoint. A run that
    goes on from one has it from there, or mines with the very weights that mined before.

    Args:
        data: Windows and records.
        plan: Windows of each step of the run.
        options: How much is mined, and when.
        encode: Encodes with the weights of the moment.
        seed: Seed of the draw of records, with the step.
    """

    def __init__(
        self,
        data: RetrieverData,
        plan: Sequence[Sequence[int]],
        *,
        options: Mining,
        encode: Encode,
        seed: int,
    ) -> None:
        self._data = data
        self._plan = plan
        self._options = options
        self._encode = encode
        self._seed = seed
        self._first = -1
        self._mined: dict[int, list[int]] = {}

    @property
    def lengths(self) -> list[int]:
        """Return the tokens of each window."""
        return self._data.lengths

    @property
    def repeats(self) -> list[int]:
        """Return how often each window comes in an epoch."""
        return self._data.repeats

    def batch(self, chosen: Sequence[int], step: int) -> RetrieverBatch:
        """Make the batch of a step; mine where the last mining was not for it.

        Args:
            chosen: Positions of the windows.
            step: Step of the run.

        Returns:
            The batch.
        """
        first = step - step % self._options.every
        if first != self._first:
            self._mined = self._mine(first)
            self._first = first
        return self._data.batch(chosen, step, self._mined)

    def state(self) -> dict[str, torch.Tensor]:
        """Give what was mined last.

        Returns:
            Int64: the first step it is for; windows, (n,); their negatives, (n, negatives),
            padded with -1.
        """
        windows = sorted(self._mined)
        rows = torch.full((len(windows), self._options.negatives), -1)
        for place, window in enumerate(windows):
            found = self._mined[window]
            rows[place, : len(found)] = torch.tensor(found, dtype=torch.int64)
        return {
            "first": torch.tensor(self._first),
            "windows": torch.tensor(windows, dtype=torch.int64),
            "rows": rows,
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Take back what was mined last.

        Args:
            state: From `state`.
        """
        self._first = int(state["first"])
        self._mined = {
            window: [row for row in rows if row >= 0]
            for window, rows in zip(state["windows"].tolist(), state["rows"].tolist(), strict=True)
        }

    def _mine(self, first: int) -> dict[int, list[int]]:
        """Find the negatives of all windows that come before the next mining."""
        steps = self._plan[first : first + self._options.every]
        n_entities = len(self._data.entities)
        # A window whose links are not annotated has no record that is surely wrong.
        windows = [
            i
            for i in sorted({i for chosen in steps for i in chosen})
            if any(row < n_entities for row in self._data.positives[i])
        ]
        if not windows:
            return {}
        rows = self._searched(windows, first)
        vectors = self._encoded(len(rows), lambda part: self._data.records(rows[part].tolist()))
        queries = self._encoded(
            len(windows), lambda part: [self._data.windows[i] for i in windows[part]]
        )
        mined: dict[int, list[int]] = {}
        for at in range(0, len(windows), _QUERIES):
            cosines = queries[at : at + _QUERIES] @ vectors.T  # (n_queries, n_searched)
            best = torch.topk(cosines, min(_DEPTH, len(rows)), dim=1)
            for k, window in enumerate(windows[at : at + _QUERIES]):
                right = np.searchsorted(rows, self._right(window))
                limit = float(cosines[k, torch.from_numpy(right)].max()) - self._options.margin
                close = best.indices[k][best.values[k] <= limit].cpu().numpy()
                mined[window] = self._wrong(window, rows[close].tolist())
        return mined

    def _encoded(self, count: int, ids: Callable[[slice], list[list[int]]]) -> torch.Tensor:
        parts = [self._encode(ids(slice(at, at + _TEXTS))) for at in range(0, count, _TEXTS)]
        return torch.cat(parts)  # (count, dim)

    def _right(self, window: int) -> list[int]:
        return [row for row in self._data.positives[window] if row < len(self._data.entities)]

    def _searched(self, windows: list[int], first: int) -> IntArray:
        """Choose the records that are searched, in order of their rows."""
        n_entities, limit = len(self._data.entities), self._options.records
        if not limit or limit >= n_entities:
            return np.arange(n_entities)
        right = {row for window in windows for row in self._right(window)}
        drawn = np.random.default_rng([self._seed, first]).permutation(n_entities)
        return np.array(sorted(right | set(drawn[: max(0, limit - len(right))].tolist())))

    def _wrong(self, window: int, best: list[int]) -> list[int]:
        """Leave out what may be right after all, best first."""
        entities = self._data.entities
        right = self._right(window)
        # A knowledge base may have a thing twice. Other things of that name are namesakes, and
        # come into a batch as such.
        names = {normalise(entities.entities[row].name) for row in right}
        spared = unlabelled_names(self._data.examples[window], entities)
        wrong = [
            row
            for row in best
            if row not in right
            and row not in spared
            and normalise(entities.entities[row].name) not in names
        ]
        return wrong[: self._options.negatives]


def encode_rows(
    module: RetrieverModule, rows: Sequence[list[int]], *, precision: str
) -> torch.Tensor:
    """Encode token ids with a module that is being trained, without dropout.

    Args:
        module: The module.
        rows: Token ids of each text.
        precision: Lightning precision of the run, or "auto".

    Returns:
        Float32, (n, dim), L2-normalised, on the device of the module.
    """
    order = sorted(range(len(rows)), key=lambda k: len(rows[k]))
    vectors: list[torch.Tensor] = []
    modes = {part: part.training for part in module.modules()}
    module.eval()
    half = _HALVES.get(best_precision() if precision == "auto" else precision)
    kind = module.device.type
    with torch.no_grad(), torch.autocast(kind, dtype=half, enabled=half is not None):
        for batch in _batches([len(rows[k]) for k in order]):
            tokens = pad([rows[order[k]] for k in batch])
            vectors.append(module.encode(tokens.to(module.device)))
    for part, mode in modes.items():
        part.training = mode
    place = torch.empty(len(rows), dtype=torch.int64)
    place[torch.tensor(order)] = torch.arange(len(rows))
    return torch.cat(vectors)[place.to(module.device)]  # (n, dim)


def _batches(lengths: Sequence[int]) -> Iterator[range]:
    """Cut texts, shortest first, into batches of about as many padded tokens."""
    first = 0
    for end in range(1, len(lengths) + 1):
        if end == len(lengths) or (end + 1 - first) * lengths[end] > _BATCH_TOKENS:
            yield range(first, end)
            first = end
