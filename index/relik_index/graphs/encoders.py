"""Encoders as ONNX graphs that read padded batches: BERT and MPNet."""

import math
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from relik.errors import ConfigError
from relik_index.graphs.graph import FLOAT, INT, MICROSOFT, Graph

INPUTS = ("inputs_embeds", "token_type_ids", "attention_mask")

# The settings of the variants that have a graph.
_BERT = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
_MPNET = {"hidden_act": "gelu", "relative_attention_num_buckets": 32}
# Query, key and value, output and norm of the attention of a layer.
_BERT_NAMES = ("self.query", "self.key", "self.value", "output.dense", "output.LayerNorm")
_MPNET_NAMES = ("attn.q", "attn.k", "attn.v", "attn.o", "LayerNorm")
# Position of the first token of an MPNet.
_FIRST = 2
# Buckets of distances to one side; the first of them hold one distance each, the others grow
# exponentially; from the farthest distance on, all fall into the last.
_BUCKETS, _EXACT, _FARTHEST = 16, 8, 128


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """Sizes of an encoder, with the defaults of transformers.

    Args:
        mpnet: It is an MPNet, not a BERT.
        type_vocab_size: Number of token types; 0 for none.
    """

    mpnet: bool
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    layer_norm_eps: float = 1e-12
    type_vocab_size: int

    @classmethod
    def of(cls, config: dict[str, object]) -> "EncoderConfig":
        """Read a transformers configuration; a key that is missing has its default.

        Args:
            config: The `backbone` of config.json.

        Raises:
            ConfigError: No graph exists for this model or variant.
        """
        mpnet = config.get("model_type") == "mpnet"
        for key, value in (_MPNET if mpnet else _BERT).items():
            if config.get(key, value) != value:
                raise ConfigError(
                    f"backbone: got {key} {config[key]!r}, expected {value!r}: only such a "
                    "backbone can be exported to ONNX"
                )
        sizes = {"type_vocab_size": 0 if mpnet else 2} | config | {"mpnet": mpnet}
        names = cls.__dataclass_fields__
        return cls(**{k: v for k, v in sizes.items() if k in names})  # type: ignore[arg-type]  # written by transformers


def add_encoder(graph: Graph, config: EncoderConfig, *, prefix: str, output: str = "") -> str:
    """Add a transformer that reads `INPUTS`.

    Args:
        output: Name of the result; "" for a generated one.

    Returns:
        Name of the hidden states, (batch, n_tokens, hidden).
    """
    eps = config.layer_norm_eps
    hidden = _embedded(graph, config, f"{prefix}embeddings")
    shared = [graph.cast(INPUTS[2], TensorProto.INT32)]
    if config.mpnet:
        shared.append(_position_bias(graph, f"{prefix}encoder.relative_attention_bias.weight"))
    for number in range(config.num_hidden_layers):
        last = number == config.num_hidden_layers - 1
        layer = f"{prefix}encoder.layer.{number}"
        attended = _attention(graph, hidden, shared, config, f"{layer}.attention")
        inner = graph.node(
            "BiasGelu",
            [
                graph.matmul(attended, f"{layer}.intermediate.dense.weight"),
                graph.weight(f"{layer}.intermediate.dense.bias"),
            ],
            domain=MICROSOFT,
        )
        hidden = graph.add_and_norm(
            graph.linear(inner, f"{layer}.output.dense"),
            attended,
            f"{layer}.output.LayerNorm",
            eps,
            output=output if last else "",
        )
    return hidden


def _embedded(graph: Graph, config: EncoderConfig, table: str) -> str:
    embeds, types, _ = INPUTS
    first = graph.ints(_FIRST if config.mpnet else 0)
    end = graph.node("Shape", [embeds], attributes={"start": 1, "end": 2})
    if config.mpnet:
        end = graph.node("Add", [end, first])
    positions = graph.weight(f"{table}.position_embeddings.weight")
    positions = graph.node("Slice", [positions, first, end, graph.ints(0)])  # (n_tokens, hidden)
    total = embeds
    if config.type_vocab_size:
        token_types = graph.weight(f"{table}.token_type_embeddings.weight")
        total = graph.node("Add", [total, graph.node("Gather", [token_types, types])])
    total = graph.node("Add", [total, positions])  # (batch, n_tokens, hidden)
    return graph.layer_norm(total, f"{table}.LayerNorm", config.layer_norm_eps)


def _attention(
    graph: Graph, hidden: str, shared: list[str], config: EncoderConfig, prefix: str
) -> str:
    """Add the attention of a layer; the inputs that layers share are mask and position bias."""
    parts = _MPNET_NAMES if config.mpnet else _BERT_NAMES
    *names, dense, norm = (f"{prefix}.{part}" for part in parts)
    # Not SkipLayerNormalization after it: on the CPU that takes six times as long.
    bias = graph.node(
        "Concat", [graph.weight(f"{name}.bias") for name in names], attributes={"axis": 0}
    )
    context = graph.node(
        "MultiHeadAttention",
        [*(graph.matmul(hidden, f"{name}.weight") for name in names), bias, *shared],
        domain=MICROSOFT,
        # With the default filter of -10000, padding with huge logits would still get weight.
        attributes={
            "num_heads": config.num_attention_heads,
            "mask_filter_value": float(np.finfo(np.float32).min),
        },
    )
    mixed = graph.linear(context, dense)
    return graph.add_and_norm(mixed, hidden, norm, config.layer_norm_eps)


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
    passed = graph.cast(passed, INT)
    buckets = graph.node("ReduceSum", [passed, graph.ints(1)], attributes={"keepdims": 0})
    # Distances to following tokens have their own buckets.
    following = graph.cast(graph.node("Greater", [distances, zero]), INT)
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


def add_mean(graph: Graph, hidden: str, *, output: str) -> str:
    """Add the mean over tokens, L2-normalised.

    Args:
        hidden: (batch, n_tokens, hidden).

    Returns:
        Its name, (batch, hidden).
    """
    mask = graph.cast(INPUTS[2], FLOAT)
    mask = graph.node("Unsqueeze", [mask, graph.ints(2)])
    kept = graph.node("Mul", [hidden, mask])
    total = graph.node("ReduceSum", [kept, graph.ints(1)], attributes={"keepdims": 0})
    count = graph.node("ReduceSum", [mask, graph.ints(1)], attributes={"keepdims": 0})
    count = graph.node("Max", [count, graph.constant(np.asarray([1.0], dtype=np.float32))])
    mean = graph.node("Div", [total, count])  # (batch, hidden)
    length = graph.node("ReduceL2", [mean, graph.ints(1)], attributes={"keepdims": 1})
    length = graph.node("Max", [length, graph.constant(np.asarray([1e-12], dtype=np.float32))])
    return graph.node("Div", [mean, length], output=output)
