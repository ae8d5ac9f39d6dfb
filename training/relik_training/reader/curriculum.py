"""Easy windows first: batches that are drawn from few windows, then from all.

Competence-based curriculum (Platanios et al. 2019): step t draws from the easiest share
sqrt(t / T * (1 - c0^2) + c0^2) of the windows, from c0 at the first step to all after T.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from relik_training.recipes.reader_settings import Curriculum
from relik_training.run.batches import BatchSource, cut_batches

# Batches between two steps of the reach; lengths are sorted within them.
_BUCKET = 50


class EasyFirst:
    """Examples whose first batches are drawn from the easier ones, whatever was planned.

    Args:
        source: All examples.
        difficulties: How hard each is, any unit.
        settings: For how long, and how easy at first.
        batch_size: Examples per step.
        max_steps: Steps of the whole run.
        seed: Seed of the order.
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
        # Of two that are equally hard the shorter one comes first.
        order = np.lexsort((np.asarray(source.lengths), np.asarray(difficulties)))
        self._first = _easy_batches(order, source, settings, (batch_size, max_steps, seed))

    @property
    def lengths(self) -> list[int]:
        """Return the cost of each example."""
        return self._source.lengths

    @property
    def repeats(self) -> list[int]:
        """Return how often each example comes in an epoch."""
        return self._source.repeats

    def batch(self, chosen: Sequence[int], step: int) -> Any:
        """Make the batch of a step.

        Args:
            chosen: Positions that were planned; taken once the easy ones are through.
            step: Step of the run.

        Returns:
            The batch.
        """
        return self._source.batch(self._first[step] if step < len(self._first) else chosen, step)


def _easy_batches(
    order: np.ndarray,
    source: BatchSource,
    settings: Curriculum,
    run: tuple[int, int, int],
) -> list[list[int]]:
    batch_size, max_steps, seed = run
    steps = round(settings.share * max_steps)
    lengths, repeats = np.asarray(source.lengths), np.asarray(source.repeats)
    plan: list[list[int]] = []
    while len(plan) < steps:
        reach = competence(len(plan) / steps, settings.start)
        easiest = order[: max(batch_size, round(reach * len(order)))]
        rng = np.random.default_rng([seed, len(plan)])
        pool = np.repeat(easiest, repeats[easiest])
        wanted = _BUCKET * batch_size
        rounds = [rng.permutation(pool) for _ in range(-(-wanted // len(pool)))]
        plan += cut_batches(np.concatenate(rounds)[:wanted], lengths, batch_size, rng)
    return plan[:steps]


def competence(done: float, start: float) -> float:
    """Give the share of the examples, from the easiest on, that a learner is up to.

    Args:
        done: Share of the curriculum that is done, 0..1.
        start: The share at its begin, 0..1.

    Returns:
        The share, `start`..1.
    """
    return float(min(1.0, np.sqrt(done * (1 - start**2) + start**2)))
