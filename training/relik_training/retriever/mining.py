"""Mining of hard negatives with the encoder that is being trained.

Source: approximate nearest neighbour negatives (Xiong et al. 2021, ANCE), mined again at regular
steps; candidates too close to the positive (Moreira et al. 2024, NV-Retriever) and records with an
unlinked name in the window are left out, because they may be positives.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch

from relik.names.normalise import normalise
from relik.types import IntArray
from relik_training.data.unlabelled_names import unlabelled_names
from relik_training.recipes.retriever_settings import Mining
from relik_training.retriever.retriever_data import RetrieverBatch, RetrieverData, encode_by_length
from relik_training.retriever.retriever_module import RetrieverModule
from relik_training.run.backbone import best_precision

Encode: TypeAlias = Callable[[Sequence[list[int]]], torch.Tensor]
"""Encodes token ids to float32 vectors, (n, dim), L2-normalised."""

# Nearest records of a window that are considered as negatives.
_DEPTH = 128
_QUERIES = 256
# Texts of one call of the encoder, which sorts them by length.
_TEXTS = 8192
_HALVES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class MiningSource:
    """A source of batches with mined negatives.

    The mined negatives are part of every checkpoint, so that a resumed run has those of the
    weights that mined them.

    Args:
        plan: Windows of each step of the run.
        options: Number and interval of negatives.
        encode: Encodes with the current weights.
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
        self.lengths, self.repeats = data.lengths, data.repeats
        self._plan = plan
        self._options = options
        self._encode = encode
        self._seed = seed
        self._first = -1
        self._mined: dict[int, list[int]] = {}

    def batch(self, chosen: Sequence[int], step: int) -> RetrieverBatch:
        """Make the batch of a step, and mine negatives first if they are due."""
        first = step - step % self._options.every
        if first != self._first:
            self._mined = self._mine(first)
            self._first = first
        return self._data.batch(chosen, step, self._mined)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the mined negatives.

        Returns:
            Int64: `first`, the first step that uses them; `windows`, (n,); `rows`, their
            negatives, (n, negatives), padded with -1.
        """
        windows = sorted(self._mined)
        rows = torch.full((len(windows), self._options.negatives), -1)
        for position, window in enumerate(windows):
            found = self._mined[window]
            rows[position, : len(found)] = torch.tensor(found, dtype=torch.int64)
        return {
            "first": torch.tensor(self._first),
            "windows": torch.tensor(windows, dtype=torch.int64),
            "rows": rows,
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Restore the mined negatives from `state`."""
        self._first = int(state["first"])
        self._mined = {
            window: [row for row in rows if row >= 0]
            for window, rows in zip(state["windows"].tolist(), state["rows"].tolist(), strict=True)
        }

    def _mine(self, first: int) -> dict[int, list[int]]:
        """Mine negatives for all windows until the next mining."""
        steps = self._plan[first : first + self._options.every]
        n_entities = len(self._data.entities)
        # A window without annotated links has no sure negatives.
        windows = [
            i
            for i in sorted({i for chosen in steps for i in chosen})
            if any(row < n_entities for row in self._data.positives[i])
        ]
        if not windows:
            return {}
        rows = self._searched_rows(windows, first)
        vectors = self._encoded(len(rows), lambda part: self._data.records(rows[part].tolist()))
        queries = self._encoded(
            len(windows), lambda part: [self._data.windows[i] for i in windows[part]]
        )
        mined: dict[int, list[int]] = {}
        for at in range(0, len(windows), _QUERIES):
            cosines = queries[at : at + _QUERIES] @ vectors.T  # (n_queries, n_searched)
            best = torch.topk(cosines, min(_DEPTH, len(rows)), dim=1)
            for k, window in enumerate(windows[at : at + _QUERIES]):
                right = np.searchsorted(rows, self._positives(window))
                limit = float(cosines[k, torch.from_numpy(right)].max()) - self._options.margin
                close = best.indices[k][best.values[k] <= limit].cpu().numpy()
                mined[window] = self._select_negatives(window, rows[close].tolist())
        return mined

    def _encoded(self, count: int, ids: Callable[[slice], list[list[int]]]) -> torch.Tensor:
        parts = [self._encode(ids(slice(at, at + _TEXTS))) for at in range(0, count, _TEXTS)]
        return torch.cat(parts)  # (count, dim)

    def _positives(self, window: int) -> list[int]:
        return [row for row in self._data.positives[window] if row < len(self._data.entities)]

    def _searched_rows(self, windows: list[int], first: int) -> IntArray:
        """Choose the rows of records to search, ascending."""
        n_entities, limit = len(self._data.entities), self._options.records
        if not limit or limit >= n_entities:
            return np.arange(n_entities)
        right = {row for window in windows for row in self._positives(window)}
        drawn = np.random.default_rng([self._seed, first]).permutation(n_entities)
        return np.array(sorted(right | set(drawn[: max(0, limit - len(right))].tolist())))

    def _select_negatives(self, window: int, best: list[int]) -> list[int]:
        """Return the best rows that are sure negatives."""
        entities = self._data.entities
        right = self._positives(window)
        # A record with the same name may be a duplicate; true namesakes are in the batch anyway.
        names = {normalise(entities.entities[row].name) for row in right}
        unlinked = unlabelled_names(self._data.examples[window], entities)
        wrong = [
            row
            for row in best
            if row not in right
            and row not in unlinked
            and normalise(entities.entities[row].name) not in names
        ]
        return wrong[: self._options.negatives]


def encode_rows(
    module: RetrieverModule, rows: Sequence[list[int]], *, precision: str
) -> torch.Tensor:
    """Encode token ids with a module that is being trained, without dropout and gradients.

    Args:
        precision: Lightning precision of the run, or "auto".

    Returns:
        Float32, (n, dim), L2-normalised, on the device of the module.
    """
    modes = {part: part.training for part in module.modules()}
    module.eval()
    half = _HALVES.get(best_precision() if precision == "auto" else precision)
    kind = module.device.type
    with torch.no_grad(), torch.autocast(kind, dtype=half, enabled=half is not None):
        vectors = encode_by_length(rows, lambda part: module.encode(part.to(module.device)))
    for part, mode in modes.items():
        part.training = mode
    return vectors
