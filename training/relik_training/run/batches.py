"""Batches that depend on the seed and the step alone, so that a killed run resumes exactly."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

T = TypeVar("T")

# Batches that are sorted by length together.
_BUCKET = 50


class BatchSource(Protocol):
    """Examples that batches are made of."""

    @property
    def lengths(self) -> list[int]:
        """Cost of each example, any unit."""

    @property
    def repeats(self) -> list[int]:
        """How often each example comes in an epoch."""

    def batch(self, chosen: Sequence[int], step: int) -> Any:
        """Make the batch of a step from the examples at these positions."""


@dataclass(frozen=True, slots=True)
class StepBatches(Generic[T]):
    """Yields the batch of each remaining step; made to be a Lightning dataloader.

    Args:
        make: Gives the batch of a step.
        max_steps: Steps of the whole run.
        start: Gives the step to begin with when iteration begins; on resume that is the
            step of the checkpoint.
    """

    make: Callable[[int], T]
    max_steps: int
    start: Callable[[], int]

    def __iter__(self) -> Iterator[T]:
        """Yield the batches from the current step on, in step order."""
        for step in range(self.start(), self.max_steps):
            yield self.make(step)


def plan_batches(
    lengths: Sequence[int],
    batch_size: int,
    max_steps: int,
    *,
    seed: int,
    repeats: Sequence[int] | None = None,
) -> list[list[int]]:
    """Assign examples to steps: shuffled, then sorted by length within buckets to save padding.

    Args:
        lengths: Cost of each example, any unit.
        batch_size: Examples per step.
        max_steps: Steps to plan; examples are reused epoch by epoch.
        seed: Seed of the order.
        repeats: How often each example comes in an epoch; once where absent.

    Returns:
        Example positions of each step.
    """
    plan: list[list[int]] = []
    order_of = np.asarray(lengths)
    pool = np.repeat(np.arange(len(lengths)), 1 if repeats is None else np.asarray(repeats))
    epoch = 0
    while len(plan) < max_steps:
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(pool)
        plan.extend(cut_batches(order, order_of, batch_size, rng))
        epoch += 1
    return plan[:max_steps]


def cut_batches(
    order: np.ndarray,
    lengths: np.ndarray,
    batch_size: int,
    rng: np.random.Generator,
) -> list[list[int]]:
    """Cut an order of examples into batches of like length, themselves in a drawn order.

    Args:
        order: Int, (n,), positions of examples.
        lengths: Cost of every example, by position.
        batch_size: Examples per batch; a smaller rest is left out unless there is nothing else.
        rng: Draws the order of the batches.

    Returns:
        Example positions of each batch.
    """
    batches: list[np.ndarray] = []
    for first in range(0, len(order), _BUCKET * batch_size):
        part = order[first : first + _BUCKET * batch_size]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches.extend(part[i : i + batch_size] for i in range(0, len(part), batch_size))
    whole = [batch for batch in batches if len(batch) == batch_size] or batches
    return [whole[i].tolist() for i in rng.permutation(len(whole))]
