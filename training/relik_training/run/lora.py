"""Low-rank adapters in place of whole weights, for backbones too large to train at every weight.

Source: LoRA (Hu et al. 2022), by the library peft. Adapters are merged before anything is written,
so that a run with them ends with the same files as one without.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relik.errors import ConfigError
from relik.toml_settings import Dropout, Natural, Rate

if TYPE_CHECKING:
    from torch import nn

# Every matrix of a layer: adapting attention alone learns less at the same rank.
_TARGETS = {
    "bert": ("query", "key", "value", "dense"),
    "mpnet": ("q", "k", "v", "o", "dense"),
}
# New and small, or so small that they are trained along.
_WHOLE = ("LayerNorm", "token_type_embeddings")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSettings:
    """How low-rank adapters are trained.

    Args:
        rank: Rank of the adapters; 0 trains all weights.
        alpha: Adapters count by `alpha / rank`.
        targets: Ends of the names of the adapted matrices; all matrices of the layers where empty.
        dropout: Dropout before the adapters, 0..1.
    """

    rank: Natural = 0
    alpha: Rate = 16.0
    targets: tuple[str, ...] = ()
    dropout: Dropout = 0.0


def adapt(backbone: "nn.Module", settings: LoraSettings) -> None:
    """Freeze a backbone and put adapters beside its matrices; norms and token types stay trained.

    Args:
        backbone: With a transformers configuration; changed in place.
        settings: As in the recipe; rank 0 changes nothing.

    Raises:
        ConfigError: peft is not installed, or no matrix has such a name.
    """
    if not settings.rank:
        return
    try:
        import peft
    except ImportError as error:
        raise ConfigError(
            "[lora]: got a rank, which needs peft: run `pip install 'relik-server[lora]'`, or "
            "leave [lora] out"
        ) from error
    targets = settings.targets or _TARGETS.get(backbone.config.model_type, ())
    options = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(targets),
    )
    try:
        peft.inject_adapter_in_model(options, backbone)
    except ValueError as error:
        names = sorted({name.rpartition(".")[2] for name, _ in backbone.named_modules()} - {""})
        raise ConfigError(
            f"[lora] targets: got {list(targets)!r}, expected some of {', '.join(names)} ({error})"
        ) from error
    for name, parameter in backbone.named_parameters():
        if any(part in name for part in _WHOLE):
            parameter.requires_grad_(True)


def merged(model: "nn.Module") -> "nn.Module":
    """Add adapters to the weights that they stand beside, and take them out.

    Args:
        model: Changed in place; one without adapters stays as it is.

    Returns:
        The same model, with the names that it would have without adapters.
    """
    for name, layer in list(model.named_modules()):
        if hasattr(layer, "lora_A") and hasattr(layer, "base_layer"):
            layer.merge(safe_merge=True)
            model.get_submodule(name.rpartition(".")[0]).register_module(
                name.rpartition(".")[2], layer.get_base_layer()
            )
    return model
