"""Builds the transformer under a released encoder or reader from its settings alone.

Nothing is downloaded.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from relik.errors import BundleCorruptError
from relik.types import FloatArray, IntArray
from relik.upstream.checkpoint.backbone_settings import SETTINGS


def input_ranges(
    backbone: nn.Module, rows: Sequence[IntArray], *, name_of: Callable[[str], str]
) -> dict[str, FloatArray]:
    """Read rows of tokens and keep the largest input of each linear layer.

    Args:
        rows: Int64, (n_tokens,) each.
        name_of: Turns the name of a weight of the backbone into one of the checkpoint.

    Returns:
        By the name of the weight float32, (in,): the largest magnitude of each of its inputs.
        Empty without rows.
    """
    found: dict[str, torch.Tensor] = {}
    with _watched(backbone, found), torch.inference_mode():
        for row in rows:
            backbone(input_ids=torch.from_numpy(row)[None])
    return {name_of(f"{name}.weight"): value.numpy() for name, value in found.items()}


@contextmanager
def _watched(backbone: nn.Module, found: dict[str, torch.Tensor]) -> Iterator[None]:
    def watch(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        def keep(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            largest = inputs[0].abs().flatten(0, -2).amax(dim=0)
            known = found.get(name)
            found[name] = largest if known is None else torch.maximum(known, largest)

        return keep

    layers = [(n, layer) for n, layer in backbone.named_modules() if isinstance(layer, nn.Linear)]
    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def build_backbone(config: Mapping[str, object], *, n_words: int, source: Path) -> nn.Module:
    """Build a backbone without weights: its tensors are on the meta device.

    Returns:
        A Hugging Face encoder without a pooler, with random weights; see
        `relik.upstream.checkpoint.weights.fill`.

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
