"""The heads of the reader as ONNX graphs, which compute what `relik.models.reader_module` does."""

import numpy as np

from relik.errors import ConfigError
from relik.models.head_sizes import LEVELS
from relik_index.graphs.encoders import INPUTS, EncoderConfig, add_encoder
from relik_index.graphs.graph import FLOAT, INT, MICROSOFT, Graph, Specs

NAME = "re_between"
_TO_THE_END = 2**62


def add_between(graph: Graph, *, width: int, eps: float) -> str:
    """Add the vector of the tokens between the two spans of each pair.

    Args:
        graph: Has the values `hidden`; `rows`, `starts` and `ends` of spans; `subjects` and
            `objects` of pairs.
        width: `linears_hidden_size`.

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
    nonempty = node("Unsqueeze", [node("Greater", [length, ints(0)]), ints(1)])
    zero = graph.constant(np.zeros(1, dtype=np.float32))
    pooled = node("Where", [nonempty, pooled, zero])
    by_order = [graph.sliced(pooled, a, a + width, axis=1) for a in (0, width)]
    chosen = node("Where", [node("Unsqueeze", [forward, ints(1)]), *by_order])
    return graph.layer_norm(chosen, f"{NAME}.LayerNorm", eps)


class Heads:
    """Adds the heads to graphs.

    Args:
        encoder: Sizes of the backbone.
        width: `linears_hidden_size`.
        eps: Epsilon of LayerNorm in the heads.
        activation: "gelu" or "relu".
        between: Relations also read the tokens between two spans.

    Raises:
        ConfigError: The activation is unknown.
    """

    def __init__(
        self,
        encoder: EncoderConfig,
        *,
        width: int,
        eps: float,
        activation: str,
        between: bool = False,
    ) -> None:
        if activation not in {"gelu", "relu"}:
            raise ConfigError(f"heads: got activation {activation!r}, expected 'gelu' or 'relu'")
        self.encoder, self.width, self.eps, self.activation = encoder, width, eps, activation
        self.between = between

    @property
    def _hidden(self) -> Specs:
        return {"hidden": (FLOAT, ["batch", "tokens", self.encoder.hidden_size])}

    def encode(self, graph: Graph) -> tuple[Specs, Specs]:
        """Add the backbone, the start logits and the marker projections."""
        hidden = add_encoder(graph, self.encoder, prefix="backbone.", output="hidden")
        self._classifier(graph, hidden, "ned_start_classifier", output="start_logits")
        entities = _take(graph, hidden, "entity_positions")
        parts = [
            self._projector(graph, entities, f"ed_{side}_projector") for side in ("start", "end")
        ]
        graph.node("Concat", parts, output="entity_vectors", attributes={"axis": -1})
        relations = _take(graph, hidden, "relation_positions")
        self._projector(graph, relations, "re_relation_projector", output="relation_vectors")
        size = self.encoder.hidden_size
        inputs: Specs = {
            INPUTS[0]: (FLOAT, ["batch", "tokens", size]),
            INPUTS[1]: (INT, ["batch", "tokens"]),
            INPUTS[2]: (INT, ["batch", "tokens"]),
            "entity_positions": (INT, ["batch", "entities"]),
            "relation_positions": (INT, ["batch", "relations"]),
        }
        outputs: Specs = {
            "hidden": (FLOAT, ["batch", "tokens", size]),
            "start_logits": (FLOAT, ["batch", "tokens", 2]),
            "entity_vectors": (FLOAT, ["batch", "entities", 2 * self.width]),
            "relation_vectors": (FLOAT, ["batch", "relations", self.width]),
        }
        return inputs, outputs

    def ends(self, graph: Graph) -> tuple[Specs, Specs]:
        """Add the scores of every token as the end of each start."""
        name, size = "ned_end_classifier", self.encoder.hidden_size
        of_token, of_start = graph.halves(f"{name}.dense_0.weight", size)
        tokens = graph.node("MatMul", ["hidden", of_token])  # (batch, tokens, hidden)
        starts = graph.node("MatMul", [_at(graph, "starts"), of_start])  # (starts, hidden)
        starts = graph.node("Add", [starts, graph.weight(f"{name}.dense_0.bias")])
        starts = graph.node("Unsqueeze", [starts, graph.ints(1)])
        mixed = graph.node("Add", [graph.node("Gather", [tokens, "rows"]), starts])
        mixed = graph.layer_norm(graph.node("Tanh", [mixed]), f"{name}.LayerNorm", self.eps)
        logits = graph.linear(mixed, f"{name}.dense_1")  # (starts, tokens, 1)
        graph.node("Squeeze", [logits, graph.ints(2)], output="end_logits")
        spans: Specs = {key: (INT, ["starts"]) for key in ("rows", "starts")}
        return self._hidden | spans, {"end_logits": (FLOAT, ["starts", "tokens"])}

    def link(self, graph: Graph) -> tuple[Specs, Specs]:
        """Add the scores of the entities for each span."""
        parts = [
            self._projector(graph, _at(graph, f"{side}s"), f"ed_{side}_projector")
            for side in ("start", "end")
        ]
        spans = graph.node("Concat", parts, attributes={"axis": -1})  # (spans, 2L)
        spans = graph.node("Unsqueeze", [spans, graph.ints(2)])
        rows = graph.node("Gather", ["entity_vectors", "rows"])  # (spans, entities, 2L)
        scores = graph.node("MatMul", [rows, spans])
        graph.node("Squeeze", [scores, graph.ints(2)], output="link_logits")
        inputs: Specs = {key: (INT, ["spans"]) for key in ("rows", "starts", "ends")}
        inputs["entity_vectors"] = (FLOAT, ["batch", "entities", 2 * self.width])
        return self._hidden | inputs, {"link_logits": (FLOAT, ["spans", "entities"])}

    def relate(self, graph: Graph) -> tuple[Specs, Specs]:
        """Add the scores of the relations for each pair of spans."""
        both = graph.node(
            "Concat", [_at(graph, "starts"), _at(graph, "ends")], attributes={"axis": -1}
        )  # (spans, 2 * hidden)
        spans = self._projector(graph, both, "re_projector")  # (spans, 2L)
        as_subject, as_object = (
            graph.sliced(spans, a, a + self.width, axis=1) for a in (0, self.width)
        )
        pairs = graph.node(
            "Mul",
            [
                graph.node("Gather", [as_subject, "subjects"]),
                graph.node("Gather", [as_object, "objects"]),
            ],
        )  # (pairs, L)
        if self.between:
            context = add_between(graph, width=self.width, eps=self.eps)
            pairs = graph.node("Add", [pairs, context])
        pairs = graph.node("Unsqueeze", [pairs, graph.ints(1)])
        rows = graph.node("Gather", ["rows", "subjects"])
        relations = graph.node("Gather", ["relation_vectors", rows])  # (pairs, relations, L)
        mixed = graph.node("Mul", [pairs, relations])
        self._classifier(graph, mixed, "re_classifier", output="relation_logits")
        inputs: Specs = {key: (INT, ["spans"]) for key in ("rows", "starts", "ends")}
        inputs |= {key: (INT, ["pairs"]) for key in ("subjects", "objects")}
        inputs["relation_vectors"] = (FLOAT, ["batch", "relations", self.width])
        return self._hidden | inputs, {"relation_logits": (FLOAT, ["pairs", "relations", 2])}

    def _projector(self, graph: Graph, value: str, name: str, *, output: str = "") -> str:
        inner = self._activated(graph, graph.linear(value, f"{name}.1"))
        outer = graph.linear(inner, f"{name}.4")
        normed = graph.layer_norm(outer, f"{name}.5", self.eps)
        return graph.node("Identity", [normed], output=output) if output else normed

    def _classifier(self, graph: Graph, value: str, name: str, *, output: str) -> str:
        inner = self._activated(graph, graph.linear(value, f"{name}.1"))
        return graph.node("Identity", [graph.linear(inner, f"{name}.4")], output=output)

    def _activated(self, graph: Graph, value: str) -> str:
        if self.activation == "relu":
            return graph.node("Relu", [value])
        return graph.node("Gelu", [value], domain=MICROSOFT)


def _take(graph: Graph, hidden: str, positions: str) -> str:
    """Gather tokens: (batch, tokens, d) and (batch, n) give (batch, n, d)."""
    index = graph.node("Unsqueeze", [positions, graph.ints(2)])
    return graph.node("GatherND", [hidden, index], attributes={"batch_dims": 1})


def _at(graph: Graph, tokens: str) -> str:
    """Gather one token for each of `rows`: (spans, d)."""
    pair = [graph.node("Unsqueeze", [name, graph.ints(1)]) for name in ("rows", tokens)]
    index = graph.node("Concat", pair, attributes={"axis": 1})
    return graph.node("GatherND", ["hidden", index])


def _maxima(graph: Graph, tokens: str, begins: str, length: str) -> str:
    """Add the maximum over each range of tokens, (pairs, 2L), by a sparse table."""
    node, ints = graph.node, graph.ints
    table = [tokens]
    for k in range(LEVELS - 1):
        last, step = table[-1], 1 << k
        parts = [graph.sliced(last, a, b, axis=1) for a, b in ((step, _TO_THE_END), (0, step))]
        rolled = node("Concat", parts, attributes={"axis": 1})
        table.append(node("Max", [last, rolled]))
    levels = node(
        "Concat", [node("Unsqueeze", [t, ints(0)]) for t in table], attributes={"axis": 0}
    )  # (levels, batch, tokens, 2L)
    reach = ints(*(2 << k for k in range(LEVELS - 1)))
    enough = node("GreaterOrEqual", [node("Unsqueeze", [length, ints(1)]), reach])
    level = node(
        "ReduceSum",
        [graph.cast(enough, INT), ints(1)],
        attributes={"keepdims": 0},
    )  # (pairs,)
    covered = node("Gather", [ints(*(1 << k for k in range(LEVELS))), level])
    n_tokens = node("Gather", [node("Shape", [tokens]), ints(1)])  # (1,)
    last_token = node("Sub", [n_tokens, ints(1)])
    first = node("Min", [begins, last_token])
    from_end = node("Min", [node("Sub", [node("Add", [first, length]), covered]), last_token])
    rows = node("Gather", ["rows", "subjects"])
    found = []
    for position in (first, from_end):
        parts = [node("Unsqueeze", [part, ints(1)]) for part in (level, rows, position)]
        index = node("Concat", parts, attributes={"axis": 1})
        found.append(node("GatherND", [levels, index]))
    return node("Max", found)
