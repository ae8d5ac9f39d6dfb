"""ONNX graphs that read one row of tokens at a time, in float32 or in int8.

A single row needs no padding and no mask, its states fit the cache of a core, and its result
cannot depend on other rows, although int8 scales its activations by their range. All values are
two-dimensional, (tokens, width).
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from relik.backends.tensors import SCALE
from relik.types import FloatArray
from relik_index.graphs.graph import MICROSOFT, Graph

EVEN = ".even"
"""Suffix of the name of a matrix: the smoothing factors of its inputs."""

_LEAST_SCALE = np.float32(1e-12)
# Inputs that stayed near zero in the samples may be larger in use.
_LEAST_RANGE = np.float32(1e-3)
# Below this many elements the conversion of the input costs more than the product.
_LEAST_QUANTISED = 1 << 14


def quantise_columns(matrix: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """Quantise a matrix for the integer products of ONNX Runtime.

    Args:
        matrix: Float32, (out, in).

    Returns:
        Int8, (in, out), and float32 scales, (out,): one for each column.
    """
    scale = np.maximum(np.abs(matrix).max(axis=1) / np.float32(127), _LEAST_SCALE)
    values = np.rint(matrix / scale[:, np.newaxis]).astype(np.int8)
    return np.ascontiguousarray(values.T), scale.astype(np.float32)


def quantise_weights(
    weights: Mapping[str, FloatArray],
    *,
    keep: tuple[str, ...],
    ranges: Mapping[str, FloatArray] = MappingProxyType({}),
) -> dict[str, NDArray[np.generic]]:
    """Quantise the matrices of linear layers.

    A few inputs of a layer are far larger than the rest, which then have only a few steps of the
    common scale. Where the ranges of inputs are known, the inputs are divided by the square roots
    of the ranges before they are quantised, and the matrix is multiplied by them; all layers with
    the same input share the factors. Source: Xiao et al. 2023 (SmoothQuant), section 4.

    Args:
        weights: Float32 tensors by name.
        keep: Parts of the names of matrices that stay in float32, such as embeddings.
        ranges: Float32, (in,), largest magnitude of each input, by name of the matrix.

    Returns:
        Int8 matrices, (in, out), each with float32 `NAME.scale` and, where ranges are known,
        `NAME.even`, (in,), the factors of its inputs; the other tensors unchanged.
    """
    stored: dict[str, NDArray[np.generic]] = {}
    for name, tensor in weights.items():
        large = tensor.ndim == 2 and tensor.size >= _LEAST_QUANTISED
        if not large or any(part in name for part in keep):
            stored[name] = tensor
            continue
        matrix = tensor
        if name in ranges:
            spread = np.sqrt(np.maximum(ranges[name], _LEAST_RANGE))
            spread /= np.exp(np.log(spread).mean())
            stored[name + EVEN] = (1 / spread).astype(np.float32)
            matrix = tensor * spread
        stored[name], stored[name + SCALE] = quantise_columns(matrix)
    return stored


class RowGraph(Graph):
    """A graph under construction whose values are (tokens, width)."""

    def linear(self, value: str, name: str, *, biased: bool = True) -> str:
        """Apply a linear layer.

        Args:
            value: (n, in).
            name: Prefix of `weight` and `bias`.

        Returns:
            Name of the result, (n, out).
        """
        weight, entries = f"{name}.weight", self.weights.entries
        bias = [self.weight(f"{name}.bias")] if biased else []
        if entries[weight].dtype != np.int8:
            inputs = [value, self.weight(weight), *bias]
            return self.node("Gemm", inputs, attributes={"transB": 1})
        if weight + EVEN in entries:
            value = self._evened(value, weight + EVEN)
        quantised, scale, zero = self._quantised(value)
        columns = self._external(weight, entries[weight])
        scales = self._external(weight + SCALE, entries[weight + SCALE])
        inputs = [quantised, columns, scale, scales, zero, *([""] if bias else []), *bias]
        return self.node("MatMulIntegerToFloat", inputs, domain=MICROSOFT)

    def biased_gelu(self, value: str, name: str) -> str:
        """Apply a linear layer and the exact GELU.

        Args:
            value: (n, in).
            name: Prefix of `weight` and `bias`.

        Returns:
            Name of the result, (n, out).
        """
        product = self.linear(value, name, biased=False)
        return self.node("BiasGelu", [product, self.weight(f"{name}.bias")], domain=MICROSOFT)

    def take(self, value: str, positions: str, *, output: str = "") -> str:
        """Take some of the rows of a value.

        Args:
            value: (n, ...).
            positions: (k,).
            output: Name of the result; "" for a generated one.

        Returns:
            Name of the result, (k, ...).
        """
        return self.node("Gather", [value, positions], output=output, attributes={"axis": 0})

    def _evened(self, value: str, factors: str) -> str:
        """Multiply the inputs of a layer by their factors, once for all layers with that input."""
        if value not in self._evened_values:
            self._evened_values[value] = self.node("Mul", [value, self.weight(factors)])
        return self._evened_values[value]

    def _quantised(self, value: str) -> tuple[str, str, str]:
        """Quantise a value, once for all products that read it."""
        parts = f"{value}_uint8", f"{value}_scale", f"{value}_zero"
        if value not in self._quantised_values:
            self._quantised_values.add(value)
            self.nodes("DynamicQuantizeLinear", [value], parts)
        return parts
