"""The model files of a bundle: tokenizer, word embeddings, query encoder and reader."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from safetensors.numpy import save
from tokenizers import Tokenizer

from relik.backends.tensors import SCALE as SCALE_SUFFIX
from relik.backends.tensors import TensorFile, quantise
from relik.backends.word_embeddings import MARKERS, SCALE, WEIGHT, quantise_table
from relik.errors import ConfigError
from relik.layout import LAYOUT
from relik.types import FloatArray
from relik_index.graphs.encoders import INPUTS, EncoderConfig, add_encoder, add_mean
from relik_index.graphs.graph import Graph
from relik_index.graphs.heads import Heads

# Smaller matrices stay unquantised: their scales would cost more than quantisation saves.
_LEAST_QUANTISED = 1024
_MAX_TOKENS = 128
_HALVES = ("position_embeddings.weight", "token_type_embeddings.weight", MARKERS)
# The exported backbone reads embeddings, and has no table of its own.
LEFT_OUT = ("word_embeddings.weight", "position_ids")

# Weights per scale: fewer in the encoder, whose vectors are compared with each other.
ENCODER_BLOCK, READER_BLOCK = 32, 64


def export_shared(tokenizer: Tokenizer, embeddings: FloatArray, out: Path) -> None:
    """Write the tokenizer and the word embeddings, which encoder and reader share.

    Args:
        tokenizer: Written without truncation and padding.
        embeddings: Float32, (vocabulary, hidden).

    Raises:
        ConfigError: Embeddings and vocabulary differ in size.
    """
    if tokenizer.get_vocab_size() != len(embeddings):
        raise ConfigError(
            f"got {len(embeddings)} word embeddings, expected {tokenizer.get_vocab_size()}, the "
            "vocabulary of the tokenizer: give both from one backbone"
        )
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.no_truncation()
    plain.no_padding()
    path = out / LAYOUT.tokenizer
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(plain.to_str(), encoding="utf-8")
    weight, scale = quantise_table(embeddings)
    table: dict[str, NDArray[np.generic]] = {WEIGHT: weight, SCALE: np.ascontiguousarray(scale)}
    (out / LAYOUT.word_embeddings).write_bytes(save(table))


def export_encoder(run: Path, out: Path, *, dim: int = 0, record_tokens: int = 0) -> None:
    """Write the query encoder.

    Args:
        dim: Dimension to which the encoder truncates its vectors; 0 for all.
        record_tokens: Maximum tokens of a record; 0 for the same as of other texts.

    Raises:
        BundleError: The run has no weights.
        ConfigError: The run is of another kind, or its backbone cannot be exported.
    """
    config = _read_config(run, kind="encoder")
    encoder = EncoderConfig.of(config["backbone"])
    folder = out / LAYOUT.query_encoder
    weights = _write_weights(run, folder, block=ENCODER_BLOCK)
    graph = Graph(weights)
    add_mean(graph, add_encoder(graph, encoder, prefix="backbone."), output="vectors")
    tokens = (TensorProto.INT64, ["batch", "tokens"])
    graph.save(
        folder / LAYOUT.encoder_graph,
        inputs={
            INPUTS[0]: (TensorProto.FLOAT, ["batch", "tokens", encoder.hidden_size]),
            INPUTS[1]: tokens,
            INPUTS[2]: tokens,
        },
        outputs={"vectors": (TensorProto.FLOAT, ["batch", encoder.hidden_size])},
    )
    config |= {"dim": dim or encoder.hidden_size, "max_tokens": _max_tokens(run, config)}
    if record_tokens:
        config["record_tokens"] = record_tokens
    _write_json(folder / LAYOUT.config, config)


def export_reader(run: Path, out: Path) -> None:
    """Write the reader.

    Raises:
        BundleError: The run has no weights.
        ConfigError: The run is of another kind, or its backbone cannot be exported.
    """
    config = _read_config(run, kind="reader")
    heads_config = config["heads"]
    heads = Heads(
        EncoderConfig.of(config["backbone"]),
        width=heads_config["linears_hidden_size"],
        eps=heads_config["layer_norm_eps"],
        activation=heads_config["activation"],
        between=heads_config.get("between", False),
    )
    folder = out / LAYOUT.reader
    weights = _write_weights(run, folder, block=READER_BLOCK)
    stages = (heads.encode, heads.ends, heads.link, heads.relate)
    for name, add in zip(LAYOUT.reader_graphs, stages, strict=True):
        graph = Graph(weights)
        inputs, outputs = add(graph)
        graph.save(folder / name, inputs=inputs, outputs=outputs)
    _write_json(folder / LAYOUT.config, config)
    embeddings = run / Path(LAYOUT.reader_embeddings).name
    if embeddings.is_file():
        (out / LAYOUT.reader_embeddings).write_bytes(embeddings.read_bytes())


def _read_config(run: Path, *, kind: str) -> dict[str, Any]:
    path = run / LAYOUT.config
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}): give a finished run") from error
    if config.get("kind") != kind:
        raise ConfigError(
            f"{path}: got a run of kind {config.get('kind')!r}, expected {kind!r}: give another run"
        )
    return dict(config)


def _max_tokens(run: Path, config: dict[str, Any]) -> int:
    """Return the maximum tokens of training: later positions have no trained embeddings."""
    resolved = run / "resolved.json"
    settings = json.loads(resolved.read_text(encoding="utf-8")) if resolved.is_file() else {}
    return int(config.get("max_tokens", settings.get("max_tokens", _MAX_TOKENS)))


def _write_weights(run: Path, folder: Path, *, block: int) -> TensorFile:
    folder.mkdir(parents=True, exist_ok=True)
    stored: dict[str, NDArray[np.generic]] = {}
    for name, tensor in TensorFile.open(run / LAYOUT.weights).weights().items():
        if name.endswith(LEFT_OUT):
            continue
        if name.endswith(_HALVES):
            stored[name] = tensor.astype(np.float16)
        elif tensor.ndim == 2 and tensor.size >= _LEAST_QUANTISED:
            stored[name], stored[name + SCALE_SUFFIX] = quantise(tensor, block=block)
        else:
            stored[name] = tensor
    # save_file creates a file that only its owner can read.
    (folder / LAYOUT.weights).write_bytes(save(stored))
    return TensorFile.open(folder / LAYOUT.weights)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
