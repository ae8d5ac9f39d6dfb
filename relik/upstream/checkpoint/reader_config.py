"""Settings of a released reader's heads and backbone, from its config.json."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from relik.errors import BundleCorruptError, BundleVersionError, ConfigError
from relik.models.head_sizes import ACTIVATIONS, ReaderHeads
from relik.upstream.checkpoint.backbone_settings import CONFIG, read_config

Kind = Literal["span", "triplet"]

_ARCHITECTURES: dict[object, Kind] = {
    "RelikReaderSpanModel": "span",
    "RelikReaderREModel": "triplet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSettings:
    """Settings of a reader.

    Args:
        kind: "span" links spans, "triplet" relates them.
        width: Width L inside the heads.
        activation: One of `relik.models.head_sizes.ACTIVATIONS`.
        threshold: Probability above which a relation holds, 0..1.
        n_symbols: Number of markers for its first kind of candidates.
        backbone: Name or relative folder of its backbone.
        n_layers: Layers of the backbone that it uses, or None for all.
    """

    kind: Kind
    heads: ReaderHeads
    width: int
    activation: str
    threshold: float
    n_symbols: int
    backbone: str
    n_layers: int | None

    @classmethod
    def read(cls, folder: Path, *, kind: Kind) -> "CheckpointSettings":
        """Read the settings of a reader.

        Raises:
            BundleError: The file is missing or broken, or has settings that no released reader has.
            ConfigError: The reader is of the other kind.
        """
        path = folder / CONFIG
        config = read_config(path)
        names = config.get("architectures")
        stated = [_ARCHITECTURES.get(n) for n in names] if isinstance(names, list) else []
        if any(stated) and kind not in stated:
            raise ConfigError(
                f"{folder}: got a reader {names}, expected one for {kind}: name the other reader "
                "class, or pass another reader"
            )
        try:
            settings = cls._of(config, kind)
        except (KeyError, TypeError, ValueError) as error:
            raise BundleCorruptError(
                f"{path}: got {error!r}, expected the settings of a reader: fetch the model again"
            ) from error
        last = config.get("use_last_k_layers", 1)
        if last not in (None, 1) or settings.activation not in ACTIVATIONS:
            raise BundleVersionError(
                f"{path}: got use_last_k_layers {last!r} and the activation "
                f"{settings.activation!r}, expected 1 and one of {', '.join(ACTIVATIONS)}, as in "
                "all released readers: fetch the model again"
            )
        return settings

    @classmethod
    def _of(cls, config: dict[str, object], kind: Kind) -> "CheckpointSettings":
        closed = kind == "triplet" and bool(config.get("entity_type_loss"))
        several = kind == "triplet" or bool(config.get("binary_end_logits"))
        layers = config.get("num_layers")
        # Upstream's default for a closed reader without this setting is True.
        embedding = config.get("add_entity_embedding")
        return cls(
            kind=kind,
            heads=ReaderHeads(
                end_classes=2 if several else 1,
                links=kind == "span",
                relations=kind == "triplet",
                types=closed,
                type_embedding=closed and (embedding is None or bool(embedding)),
            ),
            width=int(str(config.get("linears_hidden_size", 512))),
            activation=str(config.get("activation", "gelu")),
            threshold=float(str(config.get("threshold", 0.5))),
            n_symbols=int(str(config["additional_special_symbols"])),
            backbone=str(config["transformer_model"]),
            n_layers=None if layers is None else int(str(layers)),
        )
