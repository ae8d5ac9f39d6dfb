"""Competence-based curriculum: first batches from easy windows, then from all.

Source: Platanios et al. 2019: step t draws from the easiest share
sqrt(t / T * (1 - c0^2) + c0^2) of the windows, from c0 at the first step to all after T.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from relik_training.recipes.reader_settings import Curriculum
from relik_training.run.batches import BatchSource, cut_batches

# Batches between two increases of the share, within which windows are sorted by length.
_BUCKET = 50


class EasyFirst:
    """A source whose first batches have easy examples, in place of those planned.

    Args:
        difficulties: Difficulty of each example, in any unit.
        batch_size: Examples per step.
        max_steps: Steps of the run.
    """

    def __init__(
        self,
        source: BatchSource,
        difficulties: Sequence[float],
        settings: Curriculum,
        *,
        batch_size: int,
        max_steps: int,
        seed: int,
    ) -> None:
        self._source = source
        self.lengths, self.repeats = source.lengths, source.repeats
        # Ties by length, shortest first.
        order = np.lexsort((np.asarray(source.lengths), np.asarray(difficulties)))
        steps = round(settings.share * max_steps)
        lengths, repeats = np.asarray(source.lengths), np.asarray(source.repeats)
        plan: list[list[int]] = []
        while len(plan) < steps:
            share = competence(len(plan) / steps, settings.start)
            easiest = order[: max(batch_size, round(share * len(order)))]
            rng = np.random.default_rng([seed, len(plan)])
            pool = np.repeat(easiest, repeats[easiest])
            n_drawn = _BUCKET * batch_size
            rounds = [rng.permutation(pool) for _ in range(-(-n_drawn // len(pool)))]
            plan += cut_batches(np.concatenate(rounds)[:n_drawn], lengths, batch_size, rng)
        self._first = plan[:steps]

    def batch(self, chosen: Sequence[int], step: int) -> Any:
        """Make the batch of a step.

        Args:
            chosen: Planned examples, which are used after the curriculum.
        """
        return self._source.batch(self._first[step] if step < len(self._first) else chosen, step)


def competence(done: float, start: float) -> float:
    """Return the share of the easiest examples to draw from, `start`..1.

    Args:
        done: Share of the curriculum that is done, 0..1.
        start: Competence at the beginning, 0..1.
    """
    return float(min(1.0, np.sqrt(done * (1 - start**2) + start**2)))
