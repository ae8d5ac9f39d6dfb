"""What a sample costs, extrapolated to a whole run. Needs no torch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")

# Growth of memory: per e-fold of the steps beyond this number.
_GROWTH, _GROWS_FROM = 0.2, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCost:
    """What a run costs after its last step: export, indexes, calibration.

    Args:
        seconds: Seconds.
        bundle_bytes: Size of the bundle.
        memory_bytes: Needed beside what is resident before the end.
    """

    seconds: float
    bundle_bytes: int
    memory_bytes: int = 0


def memory_growth(steps: int) -> float:
    """Give the factor, at least 1, from the memory of a few steps to that of all steps.

    Batches differ in size and leave gaps in the heap: resident memory grows with the logarithm of
    the steps. Fitted to two runs of 1,000 and 1,150 steps: 1.6 times the memory of 14 steps.
    """
    return 1.0 + _GROWTH * math.log(max(steps, _GROWS_FROM) / _GROWS_FROM)


def expected_seconds(tokens: Sequence[int], seconds: Sequence[float], mean_tokens: float) -> float:
    """Give the seconds of a mean step from some measured steps.

    A straight line, with a fixed part and a part for each token; proportional to the tokens where
    either part would be negative.

    Args:
        tokens: Tokens of each measured step.
        seconds: Seconds of each, as many.
        mean_tokens: Tokens of a step on average.
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
    """Choose the middle item of each of `count` equal parts of the sorted values.

    Returns:
        Positions, in rising order of their values; all of them where there are fewer.
    """
    order = np.argsort(np.asarray(values), kind="stable")
    take = min(count, len(order))
    return [int(order[int((k + 0.5) * len(order) / take)]) for k in range(take)]


def straight_line(small: tuple[float, float], large: tuple[float, float], whole: float) -> float:
    """Extrapolate a cost from two measurements in a straight line that never falls.

    Args:
        small: Size and cost.
        large: Size and cost.
        whole: Size whose cost is wanted; not extrapolated where it is no larger than `large`.
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
        document: Gives the document of an example.

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
