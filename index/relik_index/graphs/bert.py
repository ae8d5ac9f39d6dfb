"""The layers of a BERT as an ONNX graph, with ONNX Runtime's fused operators."""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from relik.errors import ConfigError
from relik_index.graphs.graph import MICROSOFT, Graph

INPUTS = ("inputs_embeds", "token_type_ids", "attention_mask")


@dataclass(frozen=True, slots=True, kw_only=True)
class BertConfig:
    """Sizes of a BERT, with the defaults of transformers."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    layer_norm_eps: float = 1e-12

    @classmethod
    def of(cls, config: dict[str, object]) -> "BertConfig":
        """Read a transformers configuration; a key that is missing has its default.

        Args:
            config: The `backbone` of config.json.

        Raises:
            ConfigError: It is not a BERT, or no graph exists for this variant.
        """
        expected = {
            "model_type": "bert",
            "hidden_act": "gelu",
            "position_embedding_type": "absolute",
        }
        for key, value in expected.items():
            if config.get(key, value) != value:
                raise ConfigError(
                    f"backbone: got {key} {config[key]!r}, expected {value!r}: only such a "
                    "backbone can be exported to ONNX"
                )
        names = cls.__dataclass_fields__
        return cls(**{k: v for k, v in config.items() if k in names})  # type: ignore[arg-type]  # written by transformers


def add_bert(graph: Graph, config: BertConfig, *, prefix: str, output: str = "") -> str:
    """Add a BERT that reads `INPUTS`.

    Args:
        output: Name of the result; "" for a generated one.

    Returns:
        Name of the hidden states, (batch, n_tokens, hidden).
    """
    table = f"{prefix}embeddings"
    embeds, types, attention_mask = INPUTS
    n_tokens = graph.node("Shape", [embeds], attributes={"start": 1, "end": 2})
    positions = graph.node(
        "Slice",
        [
            graph.weight(f"{table}.position_embeddings.weight"),
            graph.ints(0),
            n_tokens,
            graph.ints(0),
        ],
    )  # (n_tokens, hidden)
    token_types = graph.node(
        "Gather", [graph.weight(f"{table}.token_type_embeddings.weight"), types]
    )
    total = graph.node("Add", [graph.node("Add", [embeds, token_types]), positions])
    hidden = graph.layer_norm(total, f"{table}.LayerNorm", config.layer_norm_eps)
    mask = graph.cast(attention_mask, TensorProto.INT32)
    for number in range(config.num_hidden_layers):
        last = number == config.num_hidden_layers - 1
        layer = f"{prefix}encoder.layer.{number}"
        attended = _attention(graph, hidden, mask, config, layer)
        inner = graph.node(
            "BiasGelu",
            [
                graph.matmul(attended, f"{layer}.intermediate.dense.weight"),
                graph.weight(f"{layer}.intermediate.dense.bias"),
            ],
            domain=MICROSOFT,
        )
        hidden = _add_and_norm(
            graph, inner, attended, config, f"{layer}.output", output=output if last else ""
        )
    return hidden


def _attention(graph: Graph, hidden: str, mask: str, config: BertConfig, layer: str) -> str:
    names = [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]
    bias = graph.node(
        "Concat", [graph.weight(f"{name}.bias") for name in names], attributes={"axis": 0}
    )
    context = graph.node(
        "MultiHeadAttention",
        [*(graph.matmul(hidden, f"{name}.weight") for name in names), bias, mask],
        domain=MICROSOFT,
        # With the default filter of -10000, padding with huge logits would still get weight.
        attributes={
            "num_heads": config.num_attention_heads,
            "mask_filter_value": float(np.finfo(np.float32).min),
        },
    )
    return _add_and_norm(graph, context, hidden, config, f"{layer}.attention.output")


def _add_and_norm(
    graph: Graph, value: str, residual: str, config: BertConfig, name: str, *, output: str = ""
) -> str:
    # Not SkipLayerNormalization: on the CPU it takes six times as long as these three.
    total = graph.node(
        "Add", [graph.matmul(value, f"{name}.dense.weight"), graph.weight(f"{name}.dense.bias")]
    )
    return graph.layer_norm(
        graph.node("Add", [total, residual]),
        f"{name}.LayerNorm",
        config.layer_norm_eps,
        output=output,
    )


def add_mean(graph: Graph, hidden: str, *, output: str) -> str:
    """Add the mean over tokens, L2-normalised.

    Args:
        hidden: (batch, n_tokens, hidden).

    Returns:
        Its name, (batch, hidden).
    """
    mask = graph.cast(INPUTS[2], TensorProto.FLOAT)
    mask = graph.node("Unsqueeze", [mask, graph.ints(2)])
    kept = graph.node("Mul", [hidden, mask])
    total = graph.node("ReduceSum", [kept, graph.ints(1)], attributes={"keepdims": 0})
    count = graph.node("ReduceSum", [mask, graph.ints(1)], attributes={"keepdims": 0})
    count = graph.node("Max", [count, graph.constant(np.asarray([1.0], dtype=np.float32))])
    mean = graph.node("Div", [total, count])  # (batch, hidden)
    length = graph.node("ReduceL2", [mean, graph.ints(1)], attributes={"keepdims": 1})
    length = graph.node("Max", [length, graph.constant(np.asarray([1e-12], dtype=np.float32))])
    return graph.node("Div", [mean, length], output=output)
