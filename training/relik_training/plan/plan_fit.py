"""From what was measured on a sample to what a whole run costs. Needs no torch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")


# Of what steps take beside what rests: per e-fold of the steps, from as many as a plan is worth.
_GAPS, _WORTH = 0.2, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCost:
    """What the end of a run costs, after its last step.

    Args:
        seconds: Seconds.
        bundle_bytes: What the bundle holds.
        memory_bytes: What the end needs beside what is resident when it begins.
    """

    seconds: float
    bundle_bytes: int
    memory_bytes: int = 0


def memory_growth(steps: int) -> float:
    """Tell how much more memory the steps of a whole run take than the few of a plan.

    Batches differ, and each leaves gaps in the heap: what is resident grows with the logarithm of
    the steps, though what is in use does not. Fitted to two runs of 1,000 and 1,150 steps, which
    came to 1.6 times what 14 steps took.

    Args:
        steps: Steps of the run.

    Returns:
        Factor on what steps take beside what was resident before them, at least 1.
    """
    return 1.0 + _GAPS * math.log(max(steps, _WORTH) / _WORTH)


def expected_seconds(tokens: Sequence[int], seconds: Sequence[float], mean_tokens: float) -> float:
    """Tell how long a step takes on average.

    Time is taken to be a part that every step has and a part for each token. Where what was
    measured does not bear that out (either part would be negative), it is taken to grow with the
    tokens alone.

    Args:
        tokens: Tokens of each measured step.
        seconds: Seconds of each, as many.
        mean_tokens: Tokens of a step on average.

    Returns:
        Seconds.
    """
    x, y = np.asarray(tokens, dtype=np.float64), np.asarray(seconds, dtype=np.float64)
    spread = x - x.mean()
    squares = float(spread @ spread)
    slope = float(spread @ y) / squares if squares else -1.0
    fixed = float(y.mean() - slope * x.mean())
    if slope < 0 or fixed < 0:
        return float(y.mean() * mean_tokens / x.mean()) if x.mean() else float(y.mean())
    return fixed + slope * mean_tokens


def spread_out(values: Sequence[float], count: int) -> list[int]:
    """Choose items that stand for all: one from the middle of each of so many equal parts.

    Args:
        values: What items are told apart by.
        count: Items wanted.

    Returns:
        Positions, in rising order of their values; all of them where there are fewer.
    """
    order = np.argsort(np.asarray(values), kind="stable")
    take = min(count, len(order))
    return [int(order[int((k + 0.5) * len(order) / take)]) for k in range(take)]


def straight_line(small: tuple[float, float], large: tuple[float, float], whole: float) -> float:
    """Go on in a straight line from two measurements.

    Args:
        small: Size and cost of the smaller one.
        large: Those of the larger one.
        whole: Size whose cost is wanted.

    Returns:
        Its cost; that of the larger one where the whole is no larger.
    """
    if large[0] <= small[0] or whole <= large[0]:
        return large[1]
    slope = max(0.0, (large[1] - small[1]) / (large[0] - small[0]))
    return large[1] + slope * (whole - large[0])


def sample_documents(
    examples: Sequence[T], count: int, *, seed: int, document: Callable[[T], object]
) -> list[T]:
    """Draw whole documents until there are enough examples.

    Args:
        examples: Examples; those of one document stand together.
        count: Examples wanted; the last document is kept whole.
        seed: Seed of the draw.
        document: Tells the documents of examples apart.

    Returns:
        Examples in their order; all where there are no more than wanted.
    """
    if len(examples) <= count:
        return list(examples)
    starts = [
        i
        for i, example in enumerate(examples)
        if i == 0 or document(example) != document(examples[i - 1])
    ]
    ends = [*starts[1:], len(examples)]
    taken: list[int] = []
    for place in np.random.default_rng(seed).permutation(len(starts)):
        if len(taken) >= count:
            break
        taken.extend(range(starts[place], ends[place]))
    return [examples[i] for i in sorted(taken)]
