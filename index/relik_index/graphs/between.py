"""What stands between two spans as part of an ONNX graph: as `relik.reader.between` has it."""

import numpy as np
from onnx import TensorProto

from relik.reader.heads import LEVELS
from relik_index.graphs.graph import Graph

NAME = "re_between"
_TO_THE_END = 2**62


def add_between(graph: Graph, *, width: int, eps: float) -> str:
    """Add the vector of the tokens between the spans of each pair.

    Args:
        graph: Has `hidden`, `rows`, `starts` and `ends` of spans, `subjects` and `objects` of
            pairs; gets the nodes.
        width: `linears_hidden_size`.
        eps: Epsilon of LayerNorm.

    Returns:
        Name of the result, (pairs, L).
    """
    node, ints = graph.node, graph.ints
    tokens = graph.linear("hidden", f"{NAME}.dense")  # (batch, tokens, 2L)
    subjects, objects = (
        tuple(node("Gather", [of_span, side]) for of_span in ("starts", "ends"))
        for side in ("subjects", "objects")
    )
    forward = node("Less", [subjects[0], objects[0]])  # (pairs,)
    begins = node("Add", [node("Where", [forward, subjects[1], objects[1]]), ints(1)])
    length = node("Sub", [node("Where", [forward, objects[0], subjects[0]]), begins])
    pooled = _maxima(graph, tokens, begins, node("Max", [length, ints(1)]))  # (pairs, 2L)
    some = node("Unsqueeze", [node("Greater", [length, ints(0)]), ints(1)])
    zero = graph.constant(np.zeros(1, dtype=np.float32))
    pooled = node("Where", [some, pooled, zero])
    by_order = [node("Slice", [pooled, ints(a), ints(a + width), ints(1)]) for a in (0, width)]
    chosen = node("Where", [node("Unsqueeze", [forward, ints(1)]), *by_order])
    return graph.layer_norm(chosen, f"{NAME}.LayerNorm", eps)


def _maxima(graph: Graph, tokens: str, begins: str, length: str) -> str:
    """Give the maximum of each range of tokens, (pairs, 2L), from a table of maxima."""
    node, ints = graph.node, graph.ints
    table = [tokens]
    for k in range(LEVELS - 1):
        last, step = table[-1], 1 << k
        parts = [
            node("Slice", [last, ints(a), ints(b), ints(1)])
            for a, b in ((step, _TO_THE_END), (0, step))
        ]
        rolled = node("Concat", parts, attributes={"axis": 1})
        table.append(node("Max", [last, rolled]))
    levels = node(
        "Concat", [node("Unsqueeze", [t, ints(0)]) for t in table], attributes={"axis": 0}
    )  # (levels, batch, tokens, 2L)
    reach = ints(*(2 << k for k in range(LEVELS - 1)))
    enough = node("GreaterOrEqual", [node("Unsqueeze", [length, ints(1)]), reach])
    level = node(
        "ReduceSum",
        [graph.cast(enough, TensorProto.INT64), ints(1)],
        attributes={"keepdims": 0},
    )  # (pairs,)
    covered = node("Gather", [ints(*(1 << k for k in range(LEVELS))), level])
    n_tokens = node("Gather", [node("Shape", [tokens]), ints(1)])  # (1,)
    last_token = node("Sub", [n_tokens, ints(1)])
    first = node("Min", [begins, last_token])
    from_end = node("Min", [node("Sub", [node("Add", [first, length]), covered]), last_token])
    rows = node("Gather", ["rows", "subjects"])
    found = []
    for place in (first, from_end):
        parts = [node("Unsqueeze", [part, ints(1)]) for part in (level, rows, place)]
        index = node("Concat", parts, attributes={"axis": 1})
        found.append(node("GatherND", [levels, index]))
    return node("Max", found)
