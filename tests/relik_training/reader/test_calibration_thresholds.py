"""Thresholds: their figures, and which of them let nothing through that was not looked at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.reader.decode import calibrated
from relik_training.reader.calibration import (
    GRID,
    Judged,
    covered_thresholds,
    fit_scores,
    precision_recall_f1,
)


def test_figures_of_what_is_told() -> None:
    correct = np.array([True, True, False, False])
    kept = np.array([True, False, True, False])
    assert precision_recall_f1(kept, correct, 4) == pytest.approx((0.5, 0.25, 1 / 3))
    assert precision_recall_f1(~kept & False, correct, 0) == (0.0, 0.0, 0.0)


@given(
    floor=st.floats(0, 1),
    scale=st.floats(0.05, 3),
    shift=st.floats(-5, 5),
    raw=st.floats(0, 1),
)
def test_what_was_not_looked_at_passes_no_threshold(
    floor: float, scale: float, shift: float, raw: float
) -> None:
    told = covered_thresholds(floor, scale, shift)
    assert told[-1]
    assert told.all() or floor > 0
    if raw < floor and calibrated(floor, scale, shift) <= GRID[-1]:
        assert calibrated(raw, scale, shift) <= GRID[told].min()


def test_a_threshold_is_not_below_what_was_looked_at() -> None:
    """A quarter of a few triples is right at any score: the best F1 is that of all."""
    scores = np.linspace(0.05, 0.9, 40, dtype=np.float32)
    correct = np.arange(40) % 4 == 0
    judged = Judged(scores=scores, correct=correct, n_gold=12)
    low, high = fit_scores(judged, 0.9), fit_scores(judged, 0.9, floor=0.05)
    assert high.threshold >= calibrated(0.05, high.scale, high.shift)
    assert low.threshold < high.threshold
    assert low.threshold < calibrated(0.05, low.scale, low.shift)
