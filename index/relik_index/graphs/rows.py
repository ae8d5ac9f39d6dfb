"""Graphs that read one row of tokens at a time, in float32 or in int8.

A row alone needs no padding and no mask, its states fit the cache of a core, and what is found in
it cannot depend on other rows, even where its numbers are quantised by the range of the row.
Everything is two-dimensional, (tokens, width).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from relik.backends.tensors import SCALE
from relik.types import FloatArray
from relik_index.graphs.graph import MICROSOFT, Graph

_LEAST_SCALE = np.float32(1e-12)
# Below this many elements the conversion of the input costs more than the product.
_LEAST_QUANTISED = 1 << 14


def quantise_columns(matrix: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """Store a matrix as ONNX Runtime's products of whole numbers take it.

    Args:
        matrix: Float32, (out, in).

    Returns:
        Int8, (in, out), and float32 scales, (out,): one for each column.
    """
    scale = np.maximum(np.abs(matrix).max(axis=1) / np.float32(127), _LEAST_SCALE)
    values = np.rint(matrix / scale[:, np.newaxis]).astype(np.int8)
    return np.ascontiguousarray(values.T), scale.astype(np.float32)


def quantise_weights(
    weights: Mapping[str, FloatArray], *, keep: tuple[str, ...]
) -> dict[str, NDArray[np.generic]]:
    """Quantise the matrices of linear layers.

    Args:
        weights: Float32 tensors by name.
        keep: Parts of names of matrices that stay, such as tables that are looked up.

    Returns:
        Int8 matrices, (in, out), each with float32 `NAME.scale`, and the other tensors as they
        were.
    """
    stored: dict[str, NDArray[np.generic]] = {}
    for name, tensor in weights.items():
        large = tensor.ndim == 2 and tensor.size >= _LEAST_QUANTISED
        if large and not any(part in name for part in keep):
            stored[name], stored[name + SCALE] = quantise_columns(tensor)
        else:
            stored[name] = tensor
    return stored


class RowGraph(Graph):
    """A graph under construction whose values are (tokens, width)."""

    def linear(self, value: str, name: str, *, biased: bool = True) -> str:
        """Apply a linear layer.

        Args:
            value: (n, in).
            name: Prefix of `weight` and `bias`.
            biased: Add the bias.

        Returns:
            Name of the result, (n, out).
        """
        return self.product(value, f"{name}.weight", f"{name}.bias" if biased else "")

    def product(self, value: str, weight: str, bias: str = "") -> str:
        """Multiply with the transpose of a weight, as a linear layer does.

        Args:
            value: (n, in).
            weight: Name of the weight.
            bias: Name of what is added, or "".

        Returns:
            Name of the product, (n, out).
        """
        added = self.weight(bias) if bias else ""
        if self.weights.entries[weight].dtype != np.int8:
            inputs = [value, self.weight(weight), *([added] if bias else [])]
            return self.node("Gemm", inputs, attributes={"transB": 1})
        whole, scale, zero = self._quantised(value)
        entries = self.weights.entries
        columns = self._external(weight, entries[weight])
        scales = self._external(weight + SCALE, entries[weight + SCALE])
        inputs = [whole, columns, scale, scales, zero]
        inputs += ["", added] if bias else []
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

    def add_and_norm(
        self, value: str, residual: str, name: str, eps: float, *, output: str = ""
    ) -> str:
        """Add a residual and apply LayerNorm.

        Args:
            value: (n, width).
            residual: (n, width).
            name: Prefix of `weight` and `bias`.
            eps: Epsilon.
            output: Name of the result; "" to make one up.

        Returns:
            Name of the result.
        """
        total = self.node("Add", [value, residual])
        return self.norm(total, name, eps, output=output)

    def norm(self, value: str, name: str, eps: float, *, output: str = "") -> str:
        """Apply LayerNorm over the last axis.

        Args:
            value: (n, width).
            name: Prefix of `weight` and `bias`.
            eps: Epsilon.
            output: Name of the result; "" to make one up.

        Returns:
            Name of the result.
        """
        return self.node(
            "LayerNormalization",
            [value, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")],
            output=output,
            attributes={"axis": -1, "epsilon": eps},
        )

    def take(self, value: str, positions: str, *, output: str = "") -> str:
        """Take some of the rows of a value.

        Args:
            value: (n, ...).
            positions: (k,).
            output: Name of the result; "" to make one up.

        Returns:
            Name of the result, (k, ...).
        """
        return self.node("Gather", [value, positions], output=output, attributes={"axis": 0})

    def scalar(self, value: float) -> str:
        """Add a float32 constant.

        Args:
            value: The number.

        Returns:
            Its name.
        """
        return self.constant(np.asarray(value, dtype=np.float32))

    def _quantised(self, value: str) -> tuple[str, str, str]:
        """Quantise a value once, however many products it is part of."""
        parts = f"{value}_uint8", f"{value}_scale", f"{value}_zero"
        if value not in self._quantised_values:
            self._quantised_values.add(value)
            self.nodes("DynamicQuantizeLinear", [value], parts)
        return parts


FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64
