"""The layers of BERT and DeBERTa-v2/v3 as nodes of an ONNX graph that reads one row.

The last layer is computed for some tokens only, because the heads need no more of a candidate than
its marker. Source: Devlin et al. 2019; He et al. 2021, sections 2.2 and 3 (disentangled attention).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from relik.errors import ConfigError
from relik_index.graphs.graph import FLOAT, INT, MICROSOFT, Specs
from relik_index.graphs.rows import RowGraph

EMBEDS, TYPES, RELATIVE, KEPT = "inputs_embeds", "token_type_ids", "relative_positions", "kept"
POSITIONS, ROWS = "positions", "rows"

_DISENTANGLED = ["c2p", "p2c"]


_NUMBERS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "position_buckets",
    "max_relative_positions",
    "max_position_embeddings",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneShape:
    """Sizes of a backbone.

    Args:
        eps: Epsilon of LayerNorm.
        relative: Relative positions, as in DeBERTa; otherwise absolute position embeddings.
        types: The backbone has token type embeddings.
        buckets: Distance buckets to each side of a token; 0 where positions are absolute.
        farthest: Distance from which on all distances fall into the last bucket.
    """

    hidden: int
    layers: int
    heads: int
    eps: float
    relative: bool
    types: bool
    buckets: int = 0
    farthest: int = 0

    @classmethod
    def of(cls, config: Mapping[str, object], *, layers: int | None = None) -> "BackboneShape":
        """Read a transformers configuration.

        Args:
            config: Content of config.json.
            layers: Lowest layers to use; None for all.

        Raises:
            ConfigError: No graph exists for this variant.
        """
        relative = config.get("model_type") == "deberta-v2"
        expected: dict[str, object] = {"hidden_act": "gelu"}
        if relative:
            expected |= {
                "relative_attention": True,
                "position_biased_input": False,
                "share_att_key": True,
                "norm_rel_ebd": "layer_norm",
                "conv_kernel_size": 0,
                "embedding_size": config.get("hidden_size"),
            }
        else:
            expected |= {"model_type": "bert", "position_embedding_type": "absolute"}
        for name, value in expected.items():
            found = config.get(name, value if name != "model_type" else None)
            if found != value:
                raise ConfigError(
                    f"backbone: got {name} {found!r}, expected {value!r}: no other variant can "
                    "be converted; open the released pipeline itself, which needs torch"
                )
        kinds = config.get("pos_att_type", _DISENTANGLED)
        kinds = kinds.split("|") if isinstance(kinds, str) else kinds
        if relative and sorted(kinds) != _DISENTANGLED:  # type: ignore[call-overload]  # a list in every config.json
            raise ConfigError(
                f"backbone: got pos_att_type {kinds!r}, expected {_DISENTANGLED}: open the "
                "released pipeline itself, which needs torch"
            )
        number = {key: int(str(config.get(key, 0))) for key in _NUMBERS}
        farthest = number["max_relative_positions"]
        return cls(
            hidden=number["hidden_size"],
            layers=number["num_hidden_layers"] if layers is None else layers,
            heads=number["num_attention_heads"],
            eps=float(str(config.get("layer_norm_eps", 1e-12))),
            relative=relative,
            types=bool(config.get("type_vocab_size", 2)) and not relative,
            buckets=number["position_buckets"],
            farthest=farthest if farthest > 0 else number["max_position_embeddings"],
        )

    @property
    def inputs(self) -> Specs:
        """Element type and shape of each input."""
        found: Specs = {EMBEDS: (FLOAT, ["tokens", self.hidden])}
        if self.types:
            found[TYPES] = (INT, ["tokens"])
        if self.relative:
            found[RELATIVE] = (INT, ["tokens", "tokens"])
        return found


class Backbone:
    """Adds a backbone to a graph.

    Args:
        prefix: Prefix of the names of the weights.
        several: Read several rows of one length, concatenated; `POSITIONS` holds the position of
            each token and `ROWS` the number of rows. For absolute positions only.
    """

    def __init__(
        self, graph: RowGraph, shape: BackboneShape, *, prefix: str, several: bool = False
    ) -> None:
        self._graph = graph
        self._shape = shape
        self._prefix = prefix
        self._several = several
        self._context = self._disentangled if shape.relative else self._plain

    def add(self, *, kept: str = "", output: str = "hidden") -> str:
        """Add all layers.

        Args:
            kept: Name of the positions, (k,), whose states are returned; "" for all.

        Returns:
            Name of the states, (k, hidden) or (tokens, hidden).
        """
        hidden = self._embedded()
        last = self._shape.layers - 1
        for number in range(self._shape.layers):
            name = f"{self._prefix}encoder.layer.{number}"
            at_end = number == last
            hidden = self._layer(
                hidden, name, kept=kept if at_end else "", output=output if at_end else ""
            )
        return hidden

    def _embedded(self) -> str:
        graph, table = self._graph, f"{self._prefix}embeddings"
        total = EMBEDS
        if self._shape.types:
            token_types = graph.weight(f"{table}.token_type_embeddings.weight")
            total = graph.node("Add", [total, graph.take(token_types, TYPES)])
        if self._several:
            positions = graph.weight(f"{table}.position_embeddings.weight")
            total = graph.node("Add", [total, graph.take(positions, POSITIONS)])
        elif not self._shape.relative:
            count = graph.node("Shape", [EMBEDS], attributes={"start": 0, "end": 1})
            positions = graph.weight(f"{table}.position_embeddings.weight")
            ends = [graph.ints(0), count, graph.ints(0)]
            total = graph.node("Add", [total, graph.node("Slice", [positions, *ends])])
        return graph.layer_norm(total, f"{table}.LayerNorm", self._shape.eps)

    def _layer(self, hidden: str, name: str, *, kept: str, output: str) -> str:
        graph, eps = self._graph, self._shape.eps
        queries = graph.take(hidden, kept) if kept else hidden
        context = self._context(queries, hidden, name, kept)
        after = f"{name}.attention.output"
        mixed = graph.linear(context, f"{after}.dense")
        attended = graph.add_and_norm(mixed, queries, f"{after}.LayerNorm", eps)
        inner = graph.biased_gelu(attended, f"{name}.intermediate.dense")
        outer = graph.linear(inner, f"{name}.output.dense")
        return graph.add_and_norm(outer, attended, f"{name}.output.LayerNorm", eps, output=output)

    def _plain(self, queries: str, hidden: str, name: str, kept: str) -> str:
        graph = self._graph
        parts = [
            self.by_row(graph.linear(value, f"{name}.attention.self.{part}"))
            for part, value in (("query", queries), ("key", hidden), ("value", hidden))
        ]
        context = graph.node(
            "MultiHeadAttention",
            parts,
            domain=MICROSOFT,
            attributes={"num_heads": self._shape.heads},
        )
        return graph.node("Reshape", [context, graph.ints(-1, self._shape.hidden)])

    def by_row(self, value: str) -> str:
        """Reshape (tokens, hidden) to (rows, tokens of a row, hidden)."""
        graph = self._graph
        if not self._several:
            return graph.node("Unsqueeze", [value, graph.ints(0)])
        sizes = [ROWS, graph.ints(-1, self._shape.hidden)]
        return graph.node("Reshape", [value, graph.node("Concat", sizes, attributes={"axis": 0})])

    def _disentangled(self, queries: str, hidden: str, name: str, kept: str) -> str:
        """Attend by content, by content to position and by position to content."""
        graph, shape = self._graph, self._shape
        attention = f"{name}.attention.self"
        # The sum has three kinds of scores (He et al. 2021, equation 4), hence the three.
        scale = graph.scalar(float(1 / np.sqrt(3 * (shape.hidden // shape.heads))))
        query = self._by_head(graph.linear(queries, f"{attention}.query_proj"), [1, 0, 2])
        query = graph.node("Mul", [query, scale])  # (heads, queries, width)
        key = self._by_head(graph.linear(hidden, f"{attention}.key_proj"), [1, 0, 2])
        value = self._by_head(graph.linear(hidden, f"{attention}.value_proj"), [1, 0, 2])
        table = self._distances()
        position_key = self._by_head(graph.linear(table, f"{attention}.key_proj"), [1, 2, 0])
        position_query = self._by_head(graph.linear(table, f"{attention}.query_proj"), [1, 2, 0])
        position_query = graph.node("Mul", [position_query, scale])  # (heads, width, distances)
        positions = graph.take(RELATIVE, kept) if kept else RELATIVE  # (queries, tokens)
        transposed = graph.node("Transpose", [key], attributes={"perm": [0, 2, 1]})
        scores = graph.node("MatMul", [query, transposed])  # (heads, queries, tokens)
        to_place = graph.node("MatMul", [query, position_key])  # (heads, queries, distances)
        scores = graph.node("Add", [scores, self._picked(to_place, positions)])
        to_content = graph.node("MatMul", [key, position_query])  # (heads, tokens, distances)
        back = graph.node("Transpose", [positions], attributes={"perm": [1, 0]})
        picked = self._picked(to_content, back)  # (heads, tokens, queries)
        picked = graph.node("Transpose", [picked], attributes={"perm": [0, 2, 1]})
        scores = graph.node("Add", [scores, picked])
        weights = graph.node("Softmax", [scores], attributes={"axis": -1})
        context = graph.node("MatMul", [weights, value])  # (heads, queries, width)
        context = graph.node("Transpose", [context], attributes={"perm": [1, 0, 2]})
        return graph.node("Reshape", [context, graph.ints(-1, shape.hidden)])

    def _by_head(self, value: str, order: list[int]) -> str:
        """Split (n, hidden) into heads and permute the axes n, heads and width."""
        graph, shape = self._graph, self._shape
        sizes = graph.ints(-1, shape.heads, shape.hidden // shape.heads)
        cut = graph.node("Reshape", [value, sizes])
        return graph.node("Transpose", [cut], attributes={"perm": order})

    def _picked(self, scores: str, positions: str) -> str:
        """Gather from (heads, n, distances) by (n, m): the result is (heads, n, m)."""
        graph = self._graph
        heads = graph.ints(self._shape.heads)
        shape = graph.node(
            "Concat", [heads, graph.node("Shape", [positions])], attributes={"axis": 0}
        )
        every = graph.node("Expand", [positions, shape])
        return graph.node("GatherElements", [scores, every], attributes={"axis": 2})

    def _distances(self) -> str:
        """Add the embeddings of distances, (2 * buckets, hidden)."""
        graph = self._graph
        encoder = f"{self._prefix}encoder"
        span = self._shape.buckets or self._shape.farthest
        table = graph.weight(f"{encoder}.rel_embeddings.weight")
        table = graph.sliced(table, 0, 2 * span, axis=0)
        return graph.layer_norm(table, f"{encoder}.LayerNorm", self._shape.eps)
