"""Released query and passage encoders: mean over tokens and layer norm, without L2 norm."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from relik.errors import InferenceError, InputError
from relik.types import FloatArray, IntArray
from relik.upstream.checkpoint.backbone_settings import CONFIG, max_positions, read_config
from relik.upstream.checkpoint.backbones import build_backbone, input_ranges
from relik.upstream.checkpoint.weights import fill, place, read_weights
from relik.upstream.text.subwords import EncoderTokenizer, TokenRow

_WORDS = "embeddings.word_embeddings.weight"


class UpstreamEncoderModel(nn.Module):
    """A transformer with mean pooling and a layer norm after it."""

    def __init__(self, backbone: nn.Module, *, hidden_size: int, layer_norm_eps: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.layer_norm_layer = nn.LayerNorm(hidden_size, eps=layer_norm_eps)

    def forward(
        self,
        input_ids: torch.Tensor,
        token_type_ids: torch.Tensor,
        attention_mask: torch.Tensor,
    ) -> torch.Tensor:
        """Encode token ids.

        Args:
            input_ids: Int64, (batch, n_tokens).
            token_type_ids: Int64, (batch, n_tokens).
            attention_mask: Int64, (batch, n_tokens), 1 on tokens.

        Returns:
            (batch, hidden), in the precision of the model.
        """
        hidden = self.backbone(
            input_ids=input_ids, token_type_ids=token_type_ids, attention_mask=attention_mask
        ).last_hidden_state  # (batch, n_tokens, hidden)
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)  # (batch, n_tokens, 1)
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)  # (batch, hidden)
        vectors: torch.Tensor = self.layer_norm_layer(mean)
        return vectors


class UpstreamEncoder:
    """A released encoder, in evaluation mode.

    Args:
        dim: Width of the vectors.
    """

    def __init__(
        self,
        model: UpstreamEncoderModel,
        tokenizer: EncoderTokenizer,
        *,
        device: torch.device,
        dim: int,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._device = device
        self.dim = dim

    @classmethod
    def open(
        cls, folder: Path, *, device: str = "cpu", precision: str = "float32"
    ) -> "UpstreamEncoder":
        """Open the encoder of a folder.

        Args:
            precision: "float32", "float16" or "bfloat16".

        Raises:
            BundleError: A file is missing or broken.
            ConfigError: There is no such device or precision.
        """
        config = read_config(folder / CONFIG)
        weights = read_weights(folder)
        n_words = len(weights[_WORDS]) if _WORDS in weights else 1
        backbone = build_backbone(config, n_words=n_words, source=folder)
        with torch.device("meta"):
            model = UpstreamEncoderModel(
                backbone,
                hidden_size=backbone.config.hidden_size,
                layer_norm_eps=backbone.config.layer_norm_eps,
            )
        fill(model, weights, name_of=_name_of, source=folder)
        tokenizer = EncoderTokenizer.open(folder, positions=max_positions(config))
        where = place(model, device=device, precision=precision)
        return cls(model, tokenizer, device=where, dim=backbone.config.hidden_size)

    def tensors(self) -> dict[str, FloatArray]:
        """Return the weights as float32, by name in the checkpoint."""
        state = self._model.state_dict()
        return {_name_of(name): value.float().cpu().numpy() for name, value in state.items()}

    def ranges(self, rows: Sequence[IntArray]) -> dict[str, FloatArray]:
        """Measure the inputs of the linear layers of the backbone; see `input_ranges`."""
        return input_ranges(self._model.backbone, rows)

    def encode(
        self,
        texts: Sequence[str],
        *,
        batch_size: int = 32,
        topics: Sequence[str] | None = None,
    ) -> FloatArray:
        """Encode texts; the batch changes a vector by no more than rounding.

        Args:
            topics: Second segment of each text, if any.

        Returns:
            Float32, (n_texts, dim), not normalised.

        Raises:
            InputError: The batch size is not positive, or topics and texts differ in number.
            InferenceError: The model failed.
        """
        if batch_size < 1:
            raise InputError(f"got a batch size of {batch_size}, expected at least 1: raise it")
        rows = self._tokenizer.rows(texts, topics=topics)
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        order = sorted(range(len(rows)), key=lambda k: -len(rows[k][0]))
        for first in range(0, len(order), batch_size):
            batch = order[first : first + batch_size]
            vectors[batch] = self._encode_rows([rows[k] for k in batch])
        return vectors

    def _encode_rows(self, rows: Sequence[TokenRow]) -> FloatArray:
        width = max(len(ids) for ids, _ in rows)
        arrays = np.zeros((3, len(rows), width), dtype=np.int64)  # ids, types, mask
        for k, (ids, types) in enumerate(rows):
            arrays[0, k, : len(ids)] = ids
            arrays[1, k, : len(ids)] = types
            arrays[2, k, : len(ids)] = 1
        try:
            with torch.inference_mode():
                vectors = self._model(*torch.from_numpy(arrays).to(self._device))
        # Out of GPU memory is a RuntimeError too.
        except (RuntimeError, IndexError) as error:
            raise InferenceError(
                f"the encoder failed on {len(rows)} texts of up to {width} tokens ({error}): use "
                "a smaller batch size"
            ) from error
        array: FloatArray = vectors.float().cpu().numpy()
        return array


def _name_of(name: str) -> str:
    return name.removeprefix("backbone.")
