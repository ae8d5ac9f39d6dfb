"""The backbone of a released encoder or reader, built from its settings without a download."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn

from relik.errors import BundleCorruptError
from relik.types import FloatArray, IntArray
from relik.upstream.checkpoint.backbone_settings import SETTINGS


def build_backbone(config: Mapping[str, object], *, n_words: int, source: Path) -> nn.Module:
    """Build a Hugging Face encoder without pooler and weights, on the meta device.

    `relik.upstream.checkpoint.weights.fill` loads its weights.

    Raises:
        BundleCorruptError: The settings are not those of a BERT or a DeBERTa.
    """
    from transformers import BertConfig, BertModel, DebertaV2Config, DebertaV2Model

    kind = config.get("model_type")
    if kind not in SETTINGS:
        raise BundleCorruptError(
            f"{source}: got a backbone of type {kind!r}, expected {' or '.join(SETTINGS)}, as in "
            "all released models: fetch the model again"
        )
    known = {name: value for name, value in config.items() if name in SETTINGS[str(kind)]}
    known["vocab_size"] = n_words
    known.pop("model_type", None)
    try:
        with torch.device("meta"):
            if kind == "bert":
                return BertModel(BertConfig(**known), add_pooling_layer=False)
            return DebertaV2Model(DebertaV2Config(**known))
    # Settings of a wrong type, or that contradict each other, raise all kinds of errors.
    except Exception as error:
        raise BundleCorruptError(
            f"{source}: cannot build its backbone ({error}): fetch the model again"
        ) from error


def input_ranges(backbone: nn.Module, rows: Sequence[IntArray]) -> dict[str, FloatArray]:
    """Measure the largest input of each linear layer over rows of tokens, for quantisation.

    Args:
        rows: Int64, (n_tokens,) each.

    Returns:
        By name of the weight float32, (in,): the largest magnitude of each of its inputs. Empty
        without rows.
    """
    ranges: dict[str, torch.Tensor] = {}
    hooks = [
        layer.register_forward_pre_hook(partial(_record, ranges, name))
        for name, layer in backbone.named_modules()
        if isinstance(layer, nn.Linear)
    ]
    try:
        with torch.inference_mode():
            for row in rows:
                backbone(input_ids=torch.from_numpy(row)[None])
    finally:
        for hook in hooks:
            hook.remove()
    return {f"{name}.weight": value.numpy() for name, value in ranges.items()}


def _record(
    ranges: dict[str, torch.Tensor], name: str, layer: nn.Module, inputs: tuple[torch.Tensor, ...]
) -> None:
    largest = inputs[0].abs().flatten(0, -2).amax(dim=0)
    known = ranges.get(name)
    ranges[name] = largest if known is None else torch.maximum(known, largest)
