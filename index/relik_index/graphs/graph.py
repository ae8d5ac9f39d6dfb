"""A builder of ONNX graphs whose weights stay in a safetensors file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from relik.backends.tensors import SCALE, TensorEntry, TensorFile

MICROSOFT = "com.microsoft"
"""Domain of ONNX Runtime's fused operators."""

# The newest opset and IR that the oldest supported ONNX Runtime reads without a warning.
_OPSET, _IR = 18, 9

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64
Shape = Sequence[int | str]
Specs = dict[str, tuple[int, Shape]]


class Graph:
    """A graph under construction. Its methods add nodes and return the names of their outputs.

    Args:
        weights: The file of the weights, in the folder to which the graph is saved.
    """

    def __init__(self, weights: TensorFile) -> None:
        self.weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._dequantised: dict[str, str] = {}
        self._quantised_values: set[str] = set()
        self._evened_values: dict[str, str] = {}

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        *,
        domain: str = "",
        output: str = "",
        attributes: Mapping[str, object] | None = None,
    ) -> str:
        """Add an operation.

        Args:
            inputs: Names of its inputs; "" leaves an optional one out.
            domain: "" for standard operators, or `MICROSOFT`.
            output: Name of the output; "" for a generated one.
        """
        out = output or f"{op}_{len(self._nodes)}"
        # `name` and `domain` are fixed parameters of make_node, the rest become attributes.
        self._nodes.append(
            helper.make_node(op, inputs, [out], name=out, domain=domain, **(attributes or {}))
        )
        return out

    def nodes(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        """Add an operation with several outputs."""
        made = helper.make_node(op, inputs, outputs, name=outputs[0], **(attributes or {}))
        self._nodes.append(made)

    def constant(self, value: NDArray[np.generic]) -> str:
        """Add a small constant, stored in the graph itself."""
        name = f"constant_{value.dtype}_{'_'.join(map(str, value.shape))}_{value.tobytes().hex()}"
        self._initializers.setdefault(name, numpy_helper.from_array(value, name))
        return name

    def ints(self, *values: int) -> str:
        """Add a one-dimensional int64 constant."""
        return self.constant(np.asarray(values, dtype=np.int64))

    def scalar(self, value: float) -> str:
        """Add a float32 constant."""
        return self.constant(np.asarray(value, dtype=np.float32))

    def weight(self, name: str) -> str:
        """Refer to a weight in float32.

        Dequantisation is written as arithmetic on constants, which ONNX Runtime folds once, when
        it opens the graph.
        """
        if name in self._dequantised:
            return self._dequantised[name]
        entry = self.weights.entries[name]
        value = self._external(name, entry)
        if entry.dtype != np.float32:
            value = self.cast(value, TensorProto.FLOAT)
        if name + SCALE in self.weights.entries:
            scales = self.weights.entries[name + SCALE]
            rows, blocks = scales.shape
            scale = self.cast(self._external(name + SCALE, scales), TensorProto.FLOAT)
            scale = self.node("Unsqueeze", [scale, self.ints(2)])
            value = self.node("Reshape", [value, self.ints(rows, blocks, -1)])
            value = self.node("Mul", [value, scale])
            value = self.node("Reshape", [value, self.ints(*entry.shape)])
        self._dequantised[name] = value
        return value

    def cast(self, value: str, kind: int) -> str:
        """Cast a value to a `TensorProto` element type."""
        return self.node("Cast", [value], attributes={"to": kind})

    def matmul(self, value: str, name: str) -> str:
        """Multiply by the transpose of a weight, as a linear layer does.

        Args:
            value: (..., in).
            name: Name of a weight (out, in).

        Returns:
            Name of the product, (..., out).
        """
        return self.node("MatMul", [value, self.transposed(name)])

    def transposed(self, name: str) -> str:
        """Refer to the transpose of a weight."""
        return self.node("Transpose", [self.weight(name)], attributes={"perm": [1, 0]})

    def halves(self, name: str, size: int) -> tuple[str, str]:
        """Cut the transpose of a weight, (out, 2 * size), into two of (size, out)."""
        both = self.transposed(name)
        first, second = (self.sliced(both, a, a + size, axis=0) for a in (0, size))
        return first, second

    def sliced(self, value: str, first: int, last: int, *, axis: int, output: str = "") -> str:
        """Take the positions from `first` to before `last` of an axis."""
        ends = [self.ints(first), self.ints(last), self.ints(axis)]
        return self.node("Slice", [value, *ends], output=output)

    def linear(self, value: str, name: str) -> str:
        """Apply a linear layer with a bias.

        Args:
            value: (..., in).
            name: Prefix of `weight` and `bias`.

        Returns:
            Name of the result, (..., out).
        """
        product = self.matmul(value, f"{name}.weight")
        return self.node("Add", [product, self.weight(f"{name}.bias")])

    def layer_norm(self, value: str, name: str, eps: float, *, output: str = "") -> str:
        """Apply LayerNorm over the last axis.

        Args:
            value: (..., width).
            name: Prefix of `weight` and `bias`.
            output: Name of the result; "" for a generated one.
        """
        return self.node(
            "LayerNormalization",
            [value, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")],
            output=output,
            attributes={"axis": -1, "epsilon": eps},
        )

    def add_and_norm(
        self, value: str, residual: str, name: str, eps: float, *, output: str = ""
    ) -> str:
        """Add a residual of the same shape and apply LayerNorm; see `layer_norm`."""
        total = self.node("Add", [value, residual])
        return self.layer_norm(total, name, eps, output=output)

    def save(
        self,
        path: Path,
        *,
        inputs: Specs,
        outputs: Specs,
    ) -> None:
        """Write the graph.

        Args:
            path: File, in the folder of the weights.
            inputs: Element type and shape of each input; a dynamic size has a name.
        """
        graph = helper.make_graph(
            self._nodes,
            path.stem,
            [helper.make_tensor_value_info(n, *spec) for n, spec in inputs.items()],
            [helper.make_tensor_value_info(n, *spec) for n, spec in outputs.items()],
            list(self._initializers.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(MICROSOFT, 1)],
            ir_version=_IR,
            producer_name="relik-server",
        )
        path.write_bytes(model.SerializeToString(deterministic=True))

    def _external(self, name: str, entry: TensorEntry) -> str:
        if name not in self._initializers:
            tensor = TensorProto(
                name=name,
                dims=entry.shape,
                data_type=helper.np_dtype_to_tensor_dtype(entry.dtype),
                data_location=TensorProto.EXTERNAL,
            )
            where = {
                "location": self.weights.path.name,
                "offset": str(entry.offset),
                "length": str(entry.n_bytes),
            }
            for key, value in where.items():
                tensor.external_data.add(key=key, value=value)
            self._initializers[name] = tensor
        return name
