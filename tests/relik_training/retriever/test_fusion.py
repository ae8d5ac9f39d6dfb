"""The fit of the fusion recovers the weights that made the labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.config import RetrieverConfig
from relik_training.recipes.retriever_settings import FUSED
from relik_training.retriever.fusion import fit_logistic, with_weights


def test_known_weights_are_recovered() -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(size=(40_000, 3)).astype(np.float32)
    odds = features @ np.array([2.0, -1.0, 0.0]) + 0.5
    labels = (rng.random(len(odds)) < 1 / (1 + np.exp(-odds))).astype(np.float32)
    weights, bias = fit_logistic(features, labels)
    assert weights.tolist() == pytest.approx([2.0, -1.0, 0.0], abs=0.06)
    assert bias == pytest.approx(0.5, abs=0.06)


@given(
    st.lists(
        st.tuples(st.floats(-20, 20, width=32), st.floats(-1, 1, width=32), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
def test_any_labels_give_finite_weights(rows: list[tuple[float, float, bool]]) -> None:
    features = np.array([row[:2] for row in rows], dtype=np.float32)
    labels = np.array([row[2] for row in rows], dtype=np.float32)
    weights, bias = fit_logistic(features, labels)
    assert np.isfinite([*weights, bias]).all()


def test_every_weight_is_a_setting_of_the_retriever() -> None:
    fitted = {name: float(at) for at, name in enumerate((*FUSED, "bias"))}
    settings = with_weights(RetrieverConfig(), fitted)
    assert {name: getattr(settings.fusion, name) for name in fitted} == fitted
    assert settings.entity_top_k == RetrieverConfig().entity_top_k
