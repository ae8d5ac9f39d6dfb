"""Builds the transformer under a released encoder or reader from its settings alone.

Nothing is downloaded.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from relik.errors import BundleCorruptError
from relik.upstream.backbone_settings import SETTINGS


def build_backbone(config: Mapping[str, object], *, n_words: int, source: Path) -> nn.Module:
    """Build a backbone without weights: its tensors are on the meta device.

    Args:
        config: Settings, as in config.json.
        n_words: Rows of the word embeddings.
        source: The folder it is of, for messages.

    Returns:
        A Hugging Face encoder without a pooler; `relik.upstream.weights.fill` gives it weights.

    Raises:
        BundleCorruptError: The settings are not those of a BERT or a DeBERTa.
    """
    from transformers import BertConfig, BertModel, DebertaV2Config, DebertaV2Model

    kind = config.get("model_type")
    if kind not in SETTINGS:
        raise BundleCorruptError(
            f"{source}: got a backbone of type {kind!r}, expected {' or '.join(SETTINGS)}: no "
            "other was released with ReLiK"
        )
    known = {name: value for name, value in config.items() if name in SETTINGS[str(kind)]}
    known["vocab_size"] = n_words
    known.pop("model_type", None)
    try:
        with torch.device("meta"):
            if kind == "bert":
                return BertModel(BertConfig(**known), add_pooling_layer=False)
            return DebertaV2Model(DebertaV2Config(**known))
    # Settings of a wrong type, or that contradict each other, are refused by all kinds of errors,
    # of other libraries too.
    except Exception as error:
        raise BundleCorruptError(
            f"{source}: cannot build its backbone ({error}): fetch the model again"
        ) from error
