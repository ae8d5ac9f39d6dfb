"""Encoders as ONNX graphs that read padded batches: BERT and MPNet."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from onnx import TensorProto

from relik.errors import ConfigError
from relik_index.graphs.bert import INPUTS, BertConfig, add_bert
from relik_index.graphs.graph import MICROSOFT, Graph

# Position of the first token.
_FIRST = 2
# Buckets of distances to one side; the first of them hold one distance each, the others grow
# exponentially; from the farthest distance on, all fall into the last.
_BUCKETS, _EXACT, _FARTHEST = 16, 8, 128


@dataclass(frozen=True, slots=True, kw_only=True)
class MPNetConfig:
    """Sizes of an MPNet, with the defaults of transformers.

    Args:
        type_vocab_size: Number of token types; 0 for none.
    """

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    layer_norm_eps: float = 1e-12
    type_vocab_size: int = 0

    @classmethod
    def of(cls, config: dict[str, object]) -> "MPNetConfig":
        """Read a transformers configuration; a key that is missing has its default.

        Args:
            config: The `backbone` of config.json.

        Raises:
            ConfigError: No graph exists for this variant.
        """
        for key, value in {"hidden_act": "gelu", "relative_attention_num_buckets": 32}.items():
            if config.get(key, value) != value:
                raise ConfigError(
                    f"backbone: got {key} {config[key]!r}, expected {value!r}: only such an MPNet "
                    "can be exported to ONNX"
                )
        names = cls.__dataclass_fields__
        return cls(**{k: v for k, v in config.items() if k in names})  # type: ignore[arg-type]  # written by transformers


def add_mpnet(graph: Graph, config: MPNetConfig, *, prefix: str, output: str = "") -> str:
    """Add an MPNet that reads `INPUTS`.

    Args:
        output: Name of the result; "" for a generated one.

    Returns:
        Name of the hidden states, (batch, n_tokens, hidden).
    """
    hidden = _embedded(graph, config, f"{prefix}embeddings")
    bias = _position_bias(graph, f"{prefix}encoder.relative_attention_bias.weight")
    mask = graph.cast(INPUTS[2], TensorProto.INT32)
    for number in range(config.num_hidden_layers):
        last = number == config.num_hidden_layers - 1
        layer = f"{prefix}encoder.layer.{number}"
        attention = f"{layer}.attention.attn"
        names = [f"{attention}.{part}" for part in "qkv"]
        biases = [graph.weight(f"{name}.bias") for name in names]
        context = graph.node(
            "MultiHeadAttention",
            [
                *(graph.matmul(hidden, f"{name}.weight") for name in names),
                graph.node("Concat", biases, attributes={"axis": 0}),
                mask,
                bias,
            ],
            domain=MICROSOFT,
            # With the default filter of -10000, padding with huge logits would still get weight.
            attributes={
                "num_heads": config.num_attention_heads,
                "mask_filter_value": float(np.finfo(np.float32).min),
            },
        )
        eps = config.layer_norm_eps
        mixed = graph.node("Add", [graph.linear(context, f"{attention}.o"), hidden])
        attended = graph.layer_norm(mixed, f"{layer}.attention.LayerNorm", eps)
        inner = graph.node(
            "BiasGelu",
            [
                graph.matmul(attended, f"{layer}.intermediate.dense.weight"),
                graph.weight(f"{layer}.intermediate.dense.bias"),
            ],
            domain=MICROSOFT,
        )
        outer = graph.node("Add", [graph.linear(inner, f"{layer}.output.dense"), attended])
        hidden = graph.layer_norm(outer, f"{layer}.output.LayerNorm", eps)
        if last and output:
            hidden = graph.node("Identity", [hidden], output=output)
    return hidden


def _embedded(graph: Graph, config: MPNetConfig, table: str) -> str:
    embeds, types, _ = INPUTS
    n_tokens = graph.node("Shape", [embeds], attributes={"start": 1, "end": 2})
    end = graph.node("Add", [n_tokens, graph.ints(_FIRST)])
    positions = graph.weight(f"{table}.position_embeddings.weight")
    positions = graph.node("Slice", [positions, graph.ints(_FIRST), end, graph.ints(0)])
    total = graph.node("Add", [embeds, positions])  # (batch, n_tokens, hidden)
    if config.type_vocab_size:
        token_types = graph.weight(f"{table}.token_type_embeddings.weight")
        total = graph.node("Add", [total, graph.node("Gather", [token_types, types])])
    return graph.layer_norm(total, f"{table}.LayerNorm", config.layer_norm_eps)


def _position_bias(graph: Graph, name: str) -> str:
    """Add the bias of attention scores by distance, (1, heads, n_tokens, n_tokens)."""
    count = graph.node("Shape", [INPUTS[0]], attributes={"start": 1, "end": 2})
    count = graph.node("Squeeze", [count, graph.ints(0)])
    one = graph.constant(np.asarray(1, dtype=np.int64))
    zero = graph.constant(np.asarray(0, dtype=np.int64))
    first = graph.node("Sub", [one, count])
    distances = graph.node("Range", [first, count, one])  # -(n_tokens - 1) .. n_tokens - 1
    far = graph.node("Unsqueeze", [graph.node("Abs", [distances]), graph.ints(1)])
    passed = graph.node("GreaterOrEqual", [far, graph.ints(*_steps())])
    passed = graph.cast(passed, TensorProto.INT64)
    buckets = graph.node("ReduceSum", [passed, graph.ints(1)], attributes={"keepdims": 0})
    # Distances to following tokens have their own buckets.
    following = graph.cast(graph.node("Greater", [distances, zero]), TensorProto.INT64)
    buckets = graph.node("Add", [buckets, graph.node("Mul", [following, graph.ints(_BUCKETS)])])
    by_distance = graph.node("Gather", [graph.weight(name), buckets])  # (2 n_tokens - 1, heads)
    keys = graph.node("Range", [zero, count, one])
    queries = graph.node("Unsqueeze", [keys, graph.ints(1)])
    offsets = graph.node("Sub", [graph.node("Sub", [keys, queries]), first])
    bias = graph.node("Gather", [by_distance, offsets])  # (n_tokens, n_tokens, heads)
    bias = graph.node("Transpose", [bias], attributes={"perm": [2, 0, 1]})
    return graph.node("Unsqueeze", [bias, graph.ints(0)])


def _steps() -> list[int]:
    """Return the distances at which a bucket begins."""
    wide = _BUCKETS - _EXACT
    growth = math.log(_FARTHEST / _EXACT)
    later = [math.ceil(_EXACT * math.exp(growth * k / wide) - 1e-6) for k in range(1, wide)]
    return [*range(1, _EXACT + 1), *later]


EncoderConfig: TypeAlias = BertConfig | MPNetConfig


def encoder_config(config: dict[str, object]) -> EncoderConfig:
    """Read a transformers configuration.

    Args:
        config: The `backbone` of config.json.

    Raises:
        ConfigError: No graph exists for this model or variant.
    """
    kind = MPNetConfig if config.get("model_type") == "mpnet" else BertConfig
    return kind.of(config)


def add_encoder(graph: Graph, config: EncoderConfig, *, prefix: str, output: str = "") -> str:
    """Add the transformer.

    Args:
        output: Name of the result; "" for a generated one.

    Returns:
        Name of the hidden states, (batch, n_tokens, hidden).
    """
    if isinstance(config, MPNetConfig):
        return add_mpnet(graph, config, prefix=prefix, output=output)
    return add_bert(graph, config, prefix=prefix, output=output)
