"""Thresholds to choose among, and what predictions at one are worth."""

import math

import numpy as np
import numpy.typing as npt

from relik.reader.decode import calibrated

BoolArray = npt.NDArray[np.bool_]
GRID = np.round(np.arange(0.02, 0.99, 0.01), 2)
"""Float64, (97,), ascending: calibrated scores that may be a threshold."""
_EPSILON = 1e-9


def rates(kept: BoolArray, correct: BoolArray, n_gold: int) -> tuple[float, float, float]:
    """Give what is told of some predictions.

    Args:
        kept: Bool, (n,), which are told.
        correct: Bool, (n,), which are right.
        n_gold: How many there are to find.

    Returns:
        Precision, recall and F1; 0 where there is nothing to divide by.
    """
    right = int((correct & kept).sum())
    precision = right / max(1, int(kept.sum()))
    recall = right / max(1, n_gold)
    return precision, recall, 2 * precision * recall / max(precision + recall, _EPSILON)


def seen(floor: float, scale: float, shift: float) -> BoolArray:
    """Tell at which thresholds all predictions that pass were looked at.

    Of ten texts the best F1 may be that of all that were looked at, and a flat scaling puts these
    far above the lowest threshold, which would let through what nobody judged.

    Args:
        floor: Raw score from which on predictions were looked at, 0..1; 0 where all were.
        scale: As `CalibrationConfig`.
        shift: As `CalibrationConfig`.

    Returns:
        Bool, (97,), for each of `GRID`; the last is always true.
    """
    lowest = calibrated(floor, scale, shift) if floor > 0 else -math.inf
    return np.asarray(min(lowest, GRID[-1]) <= GRID)
