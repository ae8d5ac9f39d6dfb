"""Where pretrained weights come from, and how a backbone is split into table and layers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoConfig, AutoModel

from relik.errors import ConfigError
from relik_training.mpnet_words import as_bert
from relik_training.packaged import PREFIX, packaged_folder

PLAIN_TYPES = 2
"""Token types of a pretrained BERT; who wants no more has no use for them."""

READER_TYPES = 4
"""Token types of a reader: they tell case and candidates."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """A pretrained transformer without its word embeddings.

    Args:
        layers: The model; takes `inputs_embeds`.
        embeddings: Float32, (vocabulary, hidden): the word embeddings, frozen.
        tokenizer: Subwords, an MPNet's in BERT's order; truncation and padding are off.
        name: What it was loaded from.
    """

    layers: nn.Module
    embeddings: torch.Tensor
    tokenizer: Tokenizer
    name: str


def resolve(name: str) -> str:
    """Turn the name of a backbone into a folder or a hub id.

    Args:
        name: A folder, `pip:PACKAGE/FOLDER` or `pip:PACKAGES/ARCHIVE.zip` for what installed
            Python packages hold (`relik_training.packaged`), or an id on the Hugging Face Hub.

    Returns:
        A folder or hub id that transformers can load.

    Raises:
        ConfigError: A package is not installed.
    """
    return str(packaged_folder(name)) if name.startswith(PREFIX) else name


def open_backbone(
    name: str,
    *,
    token_types: int = PLAIN_TYPES,
    attention_dropout: float = 0.0,
    hidden_dropout: float | None = None,
) -> Backbone:
    """Load a pretrained transformer.

    Args:
        name: As for `resolve`.
        token_types: Rows wanted in the token type table; new rows copy row 0. An MPNet, which
            has none, gets as many that begin with zeros; none where the default is kept.
        attention_dropout: Dropout inside attention, 0..1. Any at all rules out the fused
            kernels: several times slower on a CPU.
        hidden_dropout: Dropout of hidden states, 0..1; the backbone's own where None.

    Returns:
        The backbone, its word embeddings apart.

    Raises:
        ConfigError: There are no weights, or no tokenizer.json beside them.
    """
    source = resolve(name)
    try:
        config = AutoConfig.from_pretrained(source)
        config.attention_probs_dropout_prob = attention_dropout
        if hidden_dropout is not None:
            config.hidden_dropout_prob = hidden_dropout
        layers = _load_layers(source, config)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"backbone {name!r}: cannot be loaded ({str(error).splitlines()[0]}): give a folder "
            "with weights, a hub id, or pip:PACKAGE/FOLDER"
        ) from error
    table = layers.get_input_embeddings().weight.detach().clone()
    # The layers only ever see looked-up embeddings; a one-row table keeps checkpoints small.
    row = torch.zeros(1, table.shape[1])
    layers.set_input_embeddings(nn.Embedding.from_pretrained(row, freeze=False))
    tokenizer = _open_tokenizer(source)
    if config.model_type == "mpnet":
        # Imported late: most runs have no MPNet.
        from relik.backends.mpnet import MPNetLayers

        tokenizer, table = as_bert(tokenizer, table)
        layers = MPNetLayers(layers, token_types=token_types if token_types > PLAIN_TYPES else 0)
    elif token_types > getattr(config, "type_vocab_size", token_types):
        _widen_token_types(layers, token_types)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return Backbone(layers=layers, embeddings=table, tokenizer=tokenizer, name=name)


def _open_tokenizer(source: str) -> Tokenizer:
    if not Path(source).is_dir():
        return Tokenizer.from_pretrained(source)
    path = Path(source) / "tokenizer.json"
    if not path.is_file():
        raise ConfigError(f"{path}: missing, expected the backbone's tokenizer.json")
    return Tokenizer.from_file(str(path))


def _load_layers(source: str, config: Any) -> nn.Module:
    # The pooler is never used by retrieval or reading.
    extra = {"add_pooling_layer": False} if config.model_type in {"bert", "mpnet"} else {}
    layers: nn.Module = AutoModel.from_pretrained(source, config=config, **extra)
    return layers


def _widen_token_types(layers: nn.Module, token_types: int) -> None:
    old = layers.embeddings.token_type_embeddings
    wide = nn.Embedding(token_types, old.embedding_dim)
    with torch.no_grad():
        wide.weight.copy_(old.weight[:1].expand(token_types, -1))
        wide.weight[: old.num_embeddings].copy_(old.weight)
    layers.embeddings.token_type_embeddings = wide
    layers.config.type_vocab_size = token_types


def best_precision() -> str:
    """Choose the Lightning precision that pays off on this machine.

    Returns:
        "bf16-mixed" on a GPU, or on a CPU with bf16 instructions; else "32-true", since
        emulated bf16 is many times slower.
    """
    if torch.cuda.is_available() and torch.cuda.is_bf16_supported():
        return "bf16-mixed"
    cpu = torch.backends.cpu.get_cpu_capability()
    has_bf16 = cpu.startswith("AVX512") and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return "bf16-mixed" if has_bf16 else "32-true"
