"""How large the inputs of linear layers get, by which they are evened out before quantising."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from relik.types import FloatArray, IntArray


def input_ranges(
    backbone: nn.Module, rows: Sequence[IntArray], *, name_of: Callable[[str], str]
) -> dict[str, FloatArray]:
    """Read rows of tokens and keep the largest input of each linear layer.

    Args:
        backbone: A Hugging Face encoder in evaluation mode, on the CPU.
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
