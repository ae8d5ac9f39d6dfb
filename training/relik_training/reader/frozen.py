"""Layers that stay as they start: the lowest ones, whose gradients a short run can spare.

A reader that starts from one of the same backbone changes its lowest layers least. What they make
of a row is always the same, so it is computed once and remembered.
Source: Lee et al., "What Would Elsa Do? Freezing Layers During Transformer Fine-Tuning" (2019).
"""

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from relik.errors import ConfigError
from relik.models.mpnet import MODEL_TYPE, MPNetLayers
from relik.models.packed_bert import packed_layer
from relik.models.reader_module import ReaderModel

MOST_BYTES = 2 << 30
"""Rows are remembered until they take so much memory; others are computed each time."""


def freeze_lowest(model: ReaderModel, count: int) -> None:
    """Leave the lowest layers of a reader, and all below them, as they are.

    They take no dropout either. Markers are below them; biases of relative positions, which all
    layers share, stay too: the gradients of both would pass through every layer.

    Args:
        model: A reader; changed in place.
        count: How many layers; 0 changes nothing.

    Raises:
        ConfigError: The backbone has fewer layers, or is of a kind that is not known here.
    """
    if not count:
        return
    layers = model.backbone
    kind, stack = layers.config.model_type, layers.encoder.layer
    if kind not in {"bert", MODEL_TYPE}:
        raise ConfigError(f"frozen_layers: got a backbone of type {kind}, expected bert or mpnet")
    if not 0 < count < len(stack):
        raise ConfigError(
            f"frozen_layers: got {count}, expected 0 to {len(stack) - 1}: one layer of the "
            f"{len(stack)} at least has to learn"
        )
    shared = getattr(layers.encoder, "relative_attention_bias", None)
    for part in (layers.embeddings, shared, *stack[:count]):
        if part is not None:
            part.requires_grad_(False)
    model.markers.requires_grad_(False)
    model.backbone = Remembering(layers, count)


class Remembering(nn.Module):
    """A backbone that remembers what its lowest layers make of a row.

    Each row goes through them alone, so that what is remembered does not depend on the rows that
    it came with: a run that was stopped goes on to the same weights.

    Args:
        layers: A BERT, or `MPNetLayers`; parts and names of weights are the same.
        count: Layers whose states are remembered.
        most_bytes: Memory for them.
    """

    def __init__(self, layers: nn.Module, count: int, *, most_bytes: int = MOST_BYTES) -> None:
        super().__init__()
        self.config = layers.config
        self.embeddings = layers.embeddings
        self.encoder = layers.encoder
        self._run = _mpnet if isinstance(layers, MPNetLayers) else _bert
        self._count = count
        self._left = most_bytes
        self._known: dict[bytes, torch.Tensor] = {}

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
            attention_mask: Int64, (batch, n_tokens), 1 on tokens; padding stands on the right.

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
        """Give the states of a row, (n_tokens, d), above the layers that do not change."""
        content = embedded.detach().cpu().contiguous(), types.cpu().contiguous()
        digest = hashlib.blake2b(digest_size=16)
        for part in content:
            digest.update(part.numpy().data)
        key = digest.digest()
        if (known := self._known.get(key)) is not None:
            return known
        stack = self.encoder.layer[: self._count]
        for part in (self.embeddings, *stack):
            part.eval()
        with torch.no_grad():
            hidden = self._embedded(embedded.unsqueeze(0), types.unsqueeze(0))
            found = self._run(self.encoder, stack, hidden, [len(embedded)])[0].float()
        size = found.numel() * found.element_size()
        if size <= self._left:
            self._left -= size
            self._known[key] = found
        return found

    def _embedded(self, embedded: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        if self.config.model_type == "bert":
            out: torch.Tensor = self.embeddings(inputs_embeds=embedded, token_type_ids=types)
            return out
        if self.config.type_vocab_size:
            embedded = embedded + self.embeddings.token_type_embeddings(types)
        out = self.embeddings(inputs_embeds=embedded)
        return out


_Run = Callable[[nn.Module, Sequence[nn.Module], torch.Tensor, Sequence[int]], torch.Tensor]


def _mpnet(
    encoder: nn.Module, stack: Sequence[nn.Module], hidden: torch.Tensor, lengths: Sequence[int]
) -> torch.Tensor:
    """Apply some layers of an MPNet to rows, (batch, n_tokens, d)."""
    places = torch.arange(hidden.shape[1], device=hidden.device)
    kept = places < torch.tensor(lengths, device=hidden.device)[:, None]  # (batch, n_tokens)
    barred = (~kept)[:, None, None, :].to(hidden.dtype) * torch.finfo(hidden.dtype).min
    bias = encoder.compute_position_bias(hidden)
    for layer in stack:
        hidden = layer(hidden, barred, bias)[0]
    return hidden


def _bert(
    _encoder: nn.Module, stack: Sequence[nn.Module], hidden: torch.Tensor, lengths: Sequence[int]
) -> torch.Tensor:
    """Apply some layers of a BERT to rows, (batch, n_tokens, d), zero on padding."""
    places = torch.arange(hidden.shape[1], device=hidden.device)
    kept = places < torch.tensor(lengths, device=hidden.device)[:, None]  # (batch, n_tokens)
    flat = hidden[kept]  # (n, d)
    for layer in stack:
        flat = packed_layer(layer, flat, lengths)
    rows = flat.new_zeros(hidden.shape)
    rows[kept] = flat
    return rows
