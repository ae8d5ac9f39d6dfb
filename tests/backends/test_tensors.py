"""Quantised tensors come back within half a step, and broken files are refused by name."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import save_file

from relik.backends.tensors import TensorFile, dequantise, quantise
from relik.errors import BundleCorruptError, BundleNotFoundError

MATRICES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 70)),
    elements=st.floats(-1000, 1000, width=32),
)


@given(MATRICES)
def test_a_quantised_weight_is_off_by_about_half_a_step(matrix: np.ndarray) -> None:
    values, scale = quantise(matrix)
    blocks = matrix.reshape(len(matrix), scale.shape[1], -1)
    step = np.maximum(np.abs(blocks).max(axis=2, keepdims=True) / 127, 2.0**-14)
    error = np.abs(dequantise(values, scale).reshape(blocks.shape) - blocks)
    # The rounding of the scale to float16 may push the largest weights past 127 steps.
    assert (error <= 0.6 * step).all()


@given(MATRICES)
def test_quantising_twice_changes_nothing(matrix: np.ndarray) -> None:
    once = dequantise(*quantise(matrix))
    np.testing.assert_allclose(dequantise(*quantise(once)), once, rtol=2e-3, atol=1e-6)


def test_a_width_that_the_block_does_not_divide_gets_a_smaller_block() -> None:
    _, scale = quantise(np.ones((2, 40), dtype=np.float32), block=32)
    assert scale.shape == (2, 2)


def test_tensors_come_back_as_saved(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    values, scale = quantise(np.arange(64, dtype=np.float32).reshape(2, 32))
    saved = {"a": values, "a.scale": scale, "b": np.float16([1.5]), "c": np.zeros((0, 3), "f4")}
    save_file(saved, path)
    opened = TensorFile.open(path)
    assert sorted(opened) == sorted(saved)
    assert len(opened) == 4
    for name, tensor in saved.items():
        np.testing.assert_array_equal(opened[name], tensor)
        assert opened[name].dtype == tensor.dtype
    weights = opened.weights()
    assert sorted(weights) == ["a", "b", "c"]
    np.testing.assert_array_equal(weights["a"], dequantise(values, scale))


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    save_file({"a": np.zeros(1, dtype=np.float32)}, path)
    with pytest.raises(BundleCorruptError, match="'b'"):
        TensorFile.open(path)["b"]


def test_a_scale_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    save_file({"a": np.zeros((2, 8), np.int8), "a.scale": np.zeros((2, 3), np.float16)}, path)
    with pytest.raises(BundleCorruptError, match="scales"):
        TensorFile.open(path).float32("a")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match=r"gone\.safetensors"):
        TensorFile.open(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64, b"\x02" + b"\0" * 7 + b"[]"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes(content)
    with pytest.raises(BundleCorruptError, match=r"t\.safetensors"):
        TensorFile.open(path)


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    save_file({"a": np.zeros(100, dtype=np.float32)}, path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(BundleCorruptError, match="lies at"):
        TensorFile.open(path)
