"""How the layers of a backbone compute while training: without padding, with less memory."""

from torch import nn

from relik.backends.packed import PackedBert
from relik.errors import ConfigError


def arranged(layers: nn.Module, *, packed: bool, checkpointed: bool) -> nn.Module:
    """Have layers compute in another way, to the same result.

    Args:
        layers: A backbone; parts of it are shared with what comes back.
        packed: Compute no padding.
        checkpointed: Compute states again for the gradients in place of keeping them.

    Returns:
        Layers with the same names of weights.

    Raises:
        ConfigError: Layers of this kind cannot do so.
    """
    kind = layers.config.model_type
    if packed:
        if kind != "bert":
            raise ConfigError(
                f"packing: got a backbone of type {kind}, expected bert: leave it out"
            )
        return PackedBert(layers, checkpointed=checkpointed)
    if checkpointed:
        # The second is its name in transformers before version 5.
        names = ("activation_checkpointing_enable", "gradient_checkpointing_enable")
        enable = next((getattr(layers, name) for name in names if hasattr(layers, name)), None)
        if enable is None:
            raise ConfigError(
                f"gradient_checkpointing: a backbone of type {kind} has none: leave it out"
            )
        # Only decoders have a cache; transformers would warn of one all the same.
        layers.config.use_cache = False
        enable({"use_reentrant": False})
    return layers
