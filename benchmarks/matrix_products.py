"""A lower bound of the time of a backbone on this machine: its matrix products alone."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ROUNDS = 3


def seconds_of_products(rows: Sequence[tuple[int, int]], *, threads: int) -> float:
    """Time the linear layers of MiniLM-L6 on rows of tokens.

    Args:
        rows: Tokens of each row, and tokens for which the last layer is computed.
        threads: Rows that are computed in parallel.

    Returns:
        Seconds, the best of three.
    """
    session = _layer(384, 1536)
    inputs = {n: np.ones((n, 384), dtype=np.float32) for row in rows for n in row}

    def run(row: tuple[int, int]) -> None:
        every, kept = (inputs[n] for n in row)
        for _ in range(5):
            session.run(None, {"every": every, "kept": every})
        session.run(None, {"every": every, "kept": kept})

    seconds = []
    for _ in range(ROUNDS):
        start_time = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, rows))
        seconds.append(time.perf_counter() - start_time)
    return min(seconds)


def _layer(width: int, inner: int) -> ort.InferenceSession:
    """Build a graph of the products of one layer: query, key, value, output, and feed-forward."""
    rng = np.random.default_rng(0)
    sizes = {"q": (width, width), "k": (width, width), "v": (width, width)}
    sizes |= {"o": (width, width), "up": (inner, width), "down": (width, inner)}
    weights = [
        numpy_helper.from_array(rng.normal(size=size).astype(np.float32), name)
        for name, size in sizes.items()
    ]
    chain = {"q": "kept", "k": "every", "v": "every", "o": "q_out", "up": "o_out", "down": "up_out"}
    nodes = [
        helper.make_node("Gemm", [value, name], [f"{name}_out"], transB=1)
        for name, value in chain.items()
    ]
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name in names]
        for names in (("every", "kept"), ("k_out", "v_out", "down_out"))
    )
    # Sizes of the three outputs and of the two inputs differ.
    for value, size in zip([*inputs, *outputs], ("n", "m", "n", "n", "m"), strict=True):
        value.type.tensor_type.shape.dim[0].dim_param = size
    graph = helper.make_graph(nodes, "layer", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options)
