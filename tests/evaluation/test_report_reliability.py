import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.evaluation.report import expected_calibration_error, reliability

SCORED = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=40)


def test_bins_are_tenths_and_a_full_score_is_in_the_last() -> None:
    bins = reliability([(0.0, False), (0.1, True), (0.19, False), (0.95, True), (1.0, True)])
    assert [(b.low, b.high) for b in bins] == [(i / 10, (i + 1) / 10) for i in range(10)]
    assert [b.count for b in bins] == [1, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (bins[1].mean_score, bins[1].share_right) == (pytest.approx(0.145), 0.5)
    assert (bins[9].mean_score, bins[9].share_right) == (pytest.approx(0.975), 1.0)


def test_the_error_weighs_each_bin_by_its_predictions() -> None:
    # Three sure and wrong by 0.9 - 1/3; one unsure and right.
    scored = [(0.9, True), (0.9, False), (0.9, False), (0.2, True)]
    gap = (3 * (0.9 - 1 / 3) + 0.8) / 4
    assert expected_calibration_error(reliability(scored)) == pytest.approx(gap)
    assert expected_calibration_error(reliability([])) == 0.0


@given(scored=SCORED)
def test_no_prediction_is_lost_and_the_error_is_a_share(scored: list[tuple[float, bool]]) -> None:
    bins = reliability(scored)
    assert sum(b.count for b in bins) == len(scored)
    assert all(b.low <= b.mean_score <= b.high + 1e-9 for b in bins if b.count)
    assert 0 <= expected_calibration_error(bins) <= 1


@given(rights=st.lists(st.booleans(), min_size=1, max_size=20))
def test_scores_that_are_the_share_right_have_no_error(rights: list[bool]) -> None:
    share = sum(rights) / len(rights)
    bins = reliability([(share, right) for right in rights])
    assert expected_calibration_error(bins) == pytest.approx(0.0)
