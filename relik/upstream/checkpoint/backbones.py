"""The backbone of a released encoder or reader, built from its settings without a download."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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


def input_ranges(
    backbone: nn.Module, rows: Sequence[IntArray], *, name_of: Callable[[str], str]
) -> dict[str, FloatArray]:
    """Measure the largest input of each linear layer over rows of tokens, for quantisation.

    Args:
        rows: Int64, (n_tokens,) each.
        name_of: Maps the name of a weight of the backbone to its name in the checkpoint.

    Returns:
        By name of the weight float32, (in,): the largest magnitude of each of its inputs. Empty
        without rows.
    """
    ranges: dict[str, torch.Tensor] = {}
    with _recorded_inputs(backbone, ranges), torch.inference_mode():
        for row in rows:
            backbone(input_ids=torch.from_numpy(row)[None])
    return {name_of(f"{name}.weight"): value.numpy() for name, value in ranges.items()}


@contextmanager
def _recorded_inputs(backbone: nn.Module, ranges: dict[str, torch.Tensor]) -> Iterator[None]:
    def recorder(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        def record(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            largest = inputs[0].abs().flatten(0, -2).amax(dim=0)
            known = ranges.get(name)
            ranges[name] = largest if known is None else torch.maximum(known, largest)

        return record

    layers = [(n, layer) for n, layer in backbone.named_modules() if isinstance(layer, nn.Linear)]
    hooks = [layer.register_forward_pre_hook(recorder(name)) for name, layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
