"""Encoder and reader on torch: on a GPU where there is one, else on the CPU.

They use the quantised weights of the ONNX graphs, so that both backends decide alike.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from relik.backends.backend import ReaderBackend
from relik.backends.tensors import TensorFile
from relik.errors import BundleCorruptError, InferenceError
from relik.layout import LAYOUT
from relik.models.encoder_module import EncoderModel
from relik.models.reader_module import HeadConfig, ReaderModel
from relik.types import FloatArray, IntArray

# Word embeddings are looked up outside the model, whose own table has one unused row.
_UNUSED_TABLE = "backbone.embeddings.word_embeddings.weight"


def has_gpu() -> bool:
    """Tell whether torch finds a GPU."""
    return bool(torch.cuda.is_available())


@dataclass(frozen=True, slots=True)
class TorchEncoder:
    """The query encoder, in evaluation mode."""

    model: EncoderModel
    device: torch.device

    @classmethod
    def open(cls, folder: Path) -> "TorchEncoder":
        """Open the encoder of a folder.

        Raises:
            BundleError: A file is missing or broken.
        """
        model = _load_model(folder, lambda config: EncoderModel(_build_backbone(config)))
        return cls(model, _device())

    def encode(
        self, inputs_embeds: FloatArray, token_type_ids: IntArray, attention_mask: IntArray
    ) -> FloatArray:
        """Encode token embeddings into unit vectors; see `EncoderBackend`.

        Raises:
            InferenceError: torch failed.
        """
        if not inputs_embeds.size:
            return np.zeros((len(inputs_embeds), inputs_embeds.shape[2]), dtype=np.float32)
        inputs = (inputs_embeds, token_type_ids, attention_mask)
        return _to_numpy(_run(self.model.encode, inputs, self.device))


@dataclass(frozen=True, slots=True)
class TorchReader(ReaderBackend):
    """The four stages of the reader; hidden states are tensors that stay on the device."""

    model: ReaderModel
    device: torch.device

    @classmethod
    def open(cls, folder: Path) -> "TorchReader":
        """Open the reader of a folder.

        Raises:
            BundleError: A file is missing or broken.
        """
        return cls(_load_model(folder, _build_reader), _device())

    def encode(
        self,
        inputs_embeds: FloatArray,
        token_type_ids: IntArray,
        attention_mask: IntArray,
        entity_positions: IntArray,
        relation_positions: IntArray,
    ) -> tuple[object, FloatArray, FloatArray, FloatArray]:
        """Read text and candidates; see `ReaderBackend`.

        Raises:
            InferenceError: torch failed.
        """
        inputs = (inputs_embeds, token_type_ids, attention_mask)
        positions = (entity_positions, relation_positions)
        hidden, *rest = _run(self.model.encode, (*inputs, *positions), self.device)
        starts, entities, relations = (_to_numpy(tensor) for tensor in rest)
        return hidden, starts, entities, relations

    def _states(self, hidden: object) -> torch.Tensor:
        if not isinstance(hidden, torch.Tensor):
            raise TypeError(
                f"got hidden states of type {type(hidden).__name__}, expected a tensor: "
                "pass those that `encode` returned"
            )
        return hidden

    def _scores(self, stage: str, feed: Mapping[str, Any]) -> FloatArray:
        return _to_numpy(_run(getattr(self.model, stage), tuple(feed.values()), self.device))


def _build_backbone(config: dict[str, Any]) -> nn.Module:
    # Imported late: the backend "auto" often only calls `has_gpu`.
    from transformers import BertConfig, BertModel

    if config["backbone"].get("model_type") == "mpnet":
        from relik.models.mpnet import empty_mpnet

        return empty_mpnet(config["backbone"])
    settings = BertConfig.from_dict(config["backbone"] | {"vocab_size": 1, "pad_token_id": 0})
    model = BertModel(settings, add_pooling_layer=False)
    if has_gpu():
        # In float32 a GPU has no kernel for variable lengths, and row by row would be slower.
        return model
    from relik.models.packed_bert import PackedBert

    return PackedBert(model)


def _build_reader(config: dict[str, Any]) -> ReaderModel:
    markers = config["markers"]
    return ReaderModel(
        _build_backbone(config),
        HeadConfig(**config["heads"]),
        n_markers=1 + int(markers["n_entities"]) + int(markers["n_relations"]),
    )


def _load_model(folder: Path, build: Callable[[dict[str, Any]], nn.Module]) -> Any:
    """Build a model from config.json and load the weights of the folder."""
    weights = {
        name: torch.from_numpy(value)
        for name, value in TensorFile.open(folder / LAYOUT.weights).weights().items()
    }
    path = folder / LAYOUT.config
    try:
        model = build(json.loads(path.read_text(encoding="utf-8")))
        weights[_UNUSED_TABLE] = model.state_dict()[_UNUSED_TABLE]
        model.load_state_dict(weights)
    # RuntimeError is how torch says that weights do not fit.
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise BundleCorruptError(
            f"{path}: does not fit {LAYOUT.weights} ({error}), expected the settings of that "
            "model: fetch or build the bundle again"
        ) from error
    return model.eval().to(_device())


def _device() -> torch.device:
    return torch.device("cuda" if has_gpu() else "cpu")


def _run(
    stage: Callable[..., Any],
    inputs: tuple[NDArray[np.generic] | torch.Tensor, ...],
    device: torch.device,
) -> Any:
    try:
        with torch.inference_mode():
            return stage(*(torch.as_tensor(value, device=device) for value in inputs))
    # Running out of GPU memory is a RuntimeError too.
    except (RuntimeError, IndexError) as error:
        shapes = ", ".join(str(tuple(value.shape)) for value in inputs)
        raise InferenceError(
            f"torch failed on inputs of shapes {shapes} ({error}): send smaller batches, or "
            "report it with the text that caused it"
        ) from error


def _to_numpy(tensor: torch.Tensor) -> FloatArray:
    array: FloatArray = tensor.float().cpu().numpy()
    return array
