"""Settings of the backbone of a released encoder or reader.

Released readers name their backbone without its settings, so those of DeBERTa-v3 stand here.
Source: He, Gao and Chen 2021, and the settings that Microsoft published with the models.
"""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from relik.errors import BundleCorruptError, BundleNotFoundError, ConfigError

CONFIG = "config.json"

_DEBERTA_V3: dict[str, object] = {
    "model_type": "deberta-v2",
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "layer_norm_eps": 1e-7,
    "max_position_embeddings": 512,
    "max_relative_positions": -1,
    "norm_rel_ebd": "layer_norm",
    "pad_token_id": 0,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "position_buckets": 256,
    "relative_attention": True,
    "share_att_key": True,
    "type_vocab_size": 0,
    "vocab_size": 128100,
}

KNOWN: dict[str, dict[str, object]] = {
    f"microsoft/deberta-v3-{name}": _DEBERTA_V3
    | {
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_attention_heads": hidden // 64,
        "num_hidden_layers": layers,
    }
    for name, hidden, layers in (("small", 768, 6), ("base", 768, 12), ("large", 1024, 24))
}
"""Settings of the published backbones by name."""

_OF_BOTH = {
    "attention_probs_dropout_prob",
    "hidden_act",
    "hidden_dropout_prob",
    "hidden_size",
    "intermediate_size",
    "layer_norm_eps",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "pad_token_id",
    "type_vocab_size",
    "vocab_size",
}
_OF_DEBERTA = {
    "attention_head_size",
    "conv_act",
    "conv_groups",
    "conv_kernel_size",
    "embedding_size",
}
SETTINGS: dict[str, frozenset[str]] = {
    "bert": frozenset(_OF_BOTH),
    "deberta-v2": frozenset(_OF_BOTH | _DEBERTA_V3.keys() | _OF_DEBERTA),
}
"""Settings of a backbone that are read, by its type; others could name code to fetch or run."""


def find_backbone(name: str, *, beside: Path, folder: Path | None = None) -> dict[str, object]:
    """Find the settings of a backbone.

    Args:
        name: The reader's name for it: one of `KNOWN`, or a relative folder.
        beside: Folder of the reader; a relative folder is in it or next to it.

    Raises:
        ConfigError: The name is not in `KNOWN` and there is no folder of that name.
        BundleError: A config.json is missing or broken.
    """
    if folder is not None:
        return read_config(folder / CONFIG)
    if name in KNOWN:
        return dict(KNOWN[name])
    relative = PurePosixPath(name)
    if name and not relative.is_absolute() and ".." not in relative.parts:
        for parent in (beside, beside.parent):
            if (parent / relative / CONFIG).is_file():
                return read_config(parent / relative / CONFIG)
    raise ConfigError(
        f"{beside}: got the backbone {name!r}, expected one of {', '.join(KNOWN)} or a folder "
        "beside the reader: give the folder that holds its config.json"
    )


def read_config(path: Path) -> dict[str, object]:
    """Read a config.json.

    Raises:
        BundleNotFoundError: There is no such file.
        BundleCorruptError: It is not a JSON object.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BundleNotFoundError(
            f"{path}: is missing, expected the settings of a model: fetch the model again"
        ) from error
    except (OSError, ValueError) as error:
        raise BundleCorruptError(f"{path}: is not JSON ({error}): fetch the model again") from error
    if not isinstance(config, dict):
        raise BundleCorruptError(
            f"{path}: got {type(config).__name__}, expected an object: fetch the model again"
        )
    return config


def max_positions(config: Mapping[str, object]) -> int | None:
    """Return the most tokens of a row; None for relative positions, which have no limit."""
    if config.get("model_type") == "deberta-v2" and not config.get("position_biased_input", True):
        return None
    value: Any = config.get("max_position_embeddings", 512)
    return int(value)
