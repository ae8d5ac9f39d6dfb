"""Distances between tokens as DeBERTa counts them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.backends.onnx_rows import distance_rows


@given(
    count=st.integers(1, 90),
    sizes=st.sampled_from([(0, 32), (0, 512), (8, 32), (16, 128), (64, 512)]),
)
def test_rows_are_odd_and_ascending(count: int, sizes: tuple[int, int]) -> None:
    buckets, farthest = sizes
    rows = distance_rows(count, buckets=buckets, farthest=farthest)
    span = buckets or farthest
    assert rows.shape == (count, count)
    assert rows.min() >= 0
    assert rows.max() < 2 * span
    assert (np.diagonal(rows) == span).all()
    # Farther behind is a larger row, and the two sides mirror each other but at the ends.
    first = rows[:, 0]
    assert (np.diff(first) >= 0).all()
    inside = (rows > 1) & (rows < 2 * span - 1)
    assert np.array_equal(rows[inside], (2 * span - rows.T)[inside])


def test_near_distances_are_told_apart() -> None:
    rows = distance_rows(40, buckets=16, farthest=512)
    assert len(set(rows[:9, 0].tolist())) == 9
    assert len(set(rows[20:24, 0].tolist())) < 4


def test_rows_equal_transformers() -> None:
    pytest.importorskip("torch")
    module = pytest.importorskip("transformers.models.deberta_v2.modeling_deberta_v2")
    torch = pytest.importorskip("torch")
    for buckets, farthest in ((256, 512), (16, 512)):
        place = torch.arange(300)
        distance = place[:, None] - place[None, :]
        expected = module.make_log_bucket_position(distance, buckets, farthest)
        expected = (expected + buckets).clamp(0, 2 * buckets - 1).long().numpy()
        found = distance_rows(300, buckets=buckets, farthest=farthest)
        assert np.array_equal(found, expected)
