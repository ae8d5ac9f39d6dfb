import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.errors import ConfigError
from relik.evaluation.metrics import (
    Bootstrap,
    Counts,
    bootstrap_p_value,
    precision_recall_f1,
    resampled_sums,
)


@given(n_documents=st.integers(1, 30), resamples=st.integers(1, 130), seed=st.integers(0, 5))
def test_every_resample_draws_as_many_documents_as_there_are(
    n_documents: int, resamples: int, seed: int
) -> None:
    drawn = resampled_sums(np.ones((n_documents, 2)), Bootstrap(resamples=resamples, seed=seed))
    assert drawn.shape == (resamples, 2)
    assert (drawn == n_documents).all()


def test_a_seed_gives_the_same_draws_and_another_seed_others() -> None:
    table = np.arange(20.0)[:, None]
    one, again, other = (resampled_sums(table, Bootstrap(seed=seed)) for seed in (3, 3, 4))
    assert (one == again).all()
    assert (one != other).any()


def test_draws_are_those_of_the_intervals_of_a_single_system() -> None:
    documents = [Counts(right=i % 3, wrong=i % 2, missed=1) for i in range(40)]
    table = np.array([(2.0 * d.right, 2.0 * d.right + d.wrong + d.missed) for d in documents])
    sums = resampled_sums(table, Bootstrap())
    interval = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
    assert precision_recall_f1(documents)["ci95"] == pytest.approx(interval, abs=5e-5)


def test_no_documents_sum_to_nothing() -> None:
    assert resampled_sums(np.zeros((0, 3)), Bootstrap()).tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("observed", "drawn", "p"),
    [
        (0.5, [0.5, 0.4, 0.3, 0.2], 0.0),
        (0.5, [0.5, 0.4, 0.3, -0.2], 0.5),
        (0.5, [0.5, 0.4, 0.3, 0.0], 0.5),
        (-0.5, [-0.5, -0.4, 0.3, 0.2], 1.0),
        (0.1, [-1.0, -1.0, -1.0, 1.0], 1.0),
        (0.0, [0.5, 0.4, 0.3, 0.2], 1.0),
    ],
)
def test_p_is_twice_the_share_of_resamples_without_the_sign(
    observed: float, drawn: list[float], p: float
) -> None:
    assert bootstrap_p_value(observed, np.array(drawn)) == p


@pytest.mark.parametrize("settings", [{"resamples": 0}, {"seed": -1}])
def test_numbers_too_small_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="expected at least 1"):
        Bootstrap(**settings)
