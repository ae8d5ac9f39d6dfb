"""Freezing of the lowest layers of a reader, and a cache of their output.

Fine-tuning changes the lowest layers least. The output of frozen layers for a row is constant, so
that it is computed once.
Source: Lee et al., "What Would Elsa Do? Freezing Layers During Transformer Fine-Tuning" (2019).
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from relik.errors import ConfigError
from relik.models.mpnet import MODEL_TYPE, MPNetLayers
from relik.models.packed_bert import packed_layer
from relik.models.reader_module import ReaderModel

MOST_BYTES = 2 << 30
"""Bytes of the cache; rows beyond it are computed each time."""


def freeze_lowest(model: ReaderModel, count: int) -> None:
    """Freeze the lowest layers of a reader, its embeddings and its markers, without dropout.

    The biases of relative positions, which all layers share, are frozen too: their gradients
    would pass through every layer.

    Args:
        model: A reader; changed in place.
        count: Number of layers; 0 changes nothing.

    Raises:
        ConfigError: The backbone has too few layers, or is neither a BERT nor an MPNet.
    """
    if not count:
        return
    layers = model.backbone
    kind, stack = layers.config.model_type, layers.encoder.layer
    if kind not in {"bert", MODEL_TYPE}:
        raise ConfigError(
            f"frozen_layers: got a backbone of type {kind}, expected bert or mpnet: set it to 0"
        )
    if not 0 < count < len(stack):
        raise ConfigError(
            f"frozen_layers: got {count}, expected 0 to {len(stack) - 1}: leave at least one of "
            f"{len(stack)} layers to learn"
        )
    shared = getattr(layers.encoder, "relative_attention_bias", None)
    for part in (layers.embeddings, shared, *stack[:count]):
        if part is not None:
            part.requires_grad_(False)
    model.markers.requires_grad_(False)
    model.backbone = CachedBackbone(layers, count)


class CachedBackbone(nn.Module):
    """A backbone that caches the output of its frozen layers by row.

    Each row passes the frozen layers alone, so that its cached states do not depend on its batch,
    and a resumed run ends with the same weights.

    Args:
        layers: A BERT, or `MPNetLayers`, whose weights keep their names.
        count: Number of frozen layers.
        most_bytes: Size of the cache.
    """

    def __init__(self, layers: nn.Module, count: int, *, most_bytes: int = MOST_BYTES) -> None:
        super().__init__()
        self.config = layers.config
        self.embeddings = layers.embeddings
        self.encoder = layers.encoder
        self._run = _mpnet if isinstance(layers, MPNetLayers) else _bert
        self._count = count
        self._bytes_left = most_bytes
        self._cached: dict[bytes, torch.Tensor] = {}

    def forward(
        self,
        *,
        inputs_embeds: torch.Tensor,
        token_type_ids: torch.Tensor,
        attention_mask: torch.Tensor,
    ) -> BaseModelOutput:
        """Read rows.

        Args:
            inputs_embeds: Float32, (batch, n_tokens, d), without gradients.
            token_type_ids: Int64, (batch, n_tokens).
            attention_mask: Int64, (batch, n_tokens), 1 on tokens; padding on the right.

        Returns:
            `last_hidden_state`, float32, (batch, n_tokens, d).
        """
        lengths = attention_mask.sum(dim=1).tolist()
        rows = [
            self._lowest(inputs_embeds[i, :length], token_type_ids[i, :length])
            for i, length in enumerate(lengths)
        ]
        hidden = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        if hidden.shape[1] < attention_mask.shape[1]:
            hidden = nn.functional.pad(hidden, (0, 0, 0, attention_mask.shape[1] - hidden.shape[1]))
        hidden = self._run(self.encoder, self.encoder.layer[self._count :], hidden, lengths)
        return BaseModelOutput(last_hidden_state=hidden)

    def _lowest(self, embedded: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """Return the states of a row above the frozen layers, (n_tokens, d)."""
        content = embedded.detach().cpu().contiguous(), types.cpu().contiguous()
        digest = hashlib.blake2b(digest_size=16)
        for part in content:
            digest.update(part.numpy().data)
        key = digest.digest()
        if (cached := self._cached.get(key)) is not None:
            return cached
        stack = self.encoder.layer[: self._count]
        for part in (self.embeddings, *stack):
            part.eval()
        with torch.no_grad():
            hidden = self._embedded(embedded.unsqueeze(0), types.unsqueeze(0))
            found = self._run(self.encoder, stack, hidden, [len(embedded)])[0].float()
        size = found.numel() * found.element_size()
        if size <= self._bytes_left:
            self._bytes_left -= size
            self._cached[key] = found
        return found

    def _embedded(self, embedded: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        if self.config.model_type == "bert":
            out: torch.Tensor = self.embeddings(inputs_embeds=embedded, token_type_ids=types)
            return out
        if self.config.type_vocab_size:
            embedded = embedded + self.embeddings.token_type_embeddings(types)
        out = self.embeddings(inputs_embeds=embedded)
        return out


def _mpnet(
    encoder: nn.Module, stack: Sequence[nn.Module], hidden: torch.Tensor, lengths: Sequence[int]
) -> torch.Tensor:
    """Apply some layers of an MPNet to rows, (batch, n_tokens, d)."""
    positions = torch.arange(hidden.shape[1], device=hidden.device)
    kept = positions < torch.tensor(lengths, device=hidden.device)[:, None]  # (batch, n_tokens)
    padding = (~kept)[:, None, None, :].to(hidden.dtype) * torch.finfo(hidden.dtype).min
    bias = encoder.compute_position_bias(hidden)
    for layer in stack:
        hidden = layer(hidden, padding, bias)[0]
    return hidden


def _bert(
    _encoder: nn.Module, stack: Sequence[nn.Module], hidden: torch.Tensor, lengths: Sequence[int]
) -> torch.Tensor:
    """Apply some layers of a BERT to rows, (batch, n_tokens, d), zero on padding."""
    positions = torch.arange(hidden.shape[1], device=hidden.device)
    kept = positions < torch.tensor(lengths, device=hidden.device)[:, None]  # (batch, n_tokens)
    flat = hidden[kept]  # (n, d)
    for layer in stack:
        flat = packed_layer(layer, flat, lengths)
    rows = flat.new_zeros(hidden.shape)
    rows[kept] = flat
    return rows
