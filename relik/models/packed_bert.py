"""A BERT that computes no padding: the tokens of all rows lie in one flat sequence.

Everything but attention works token by token, so padding costs as much there as words do. Only
attention must know where a row ends: on a GPU in half precision it uses torch's flash kernel for
variable lengths, elsewhere it computes each row alone.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import cast

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_outputs import BaseModelOutput


class PackedBert(nn.Module):
    """The layers of a BERT, named as transformers names them.

    Args:
        model: A BERT without pooler.
        checkpointed: Use gradient checkpointing in training, layer by layer.
    """

    def __init__(self, model: nn.Module, *, checkpointed: bool = False) -> None:
        super().__init__()
        self.config = model.config
        self.embeddings = model.embeddings
        self.encoder = model.encoder
        self._checkpointed = checkpointed

    def forward(
        self,
        *,
        inputs_embeds: torch.Tensor,
        token_type_ids: torch.Tensor,
        attention_mask: torch.Tensor,
    ) -> BaseModelOutput:
        """Encode rows of embedded tokens.

        Args:
            inputs_embeds: Float32, (batch, n_tokens, d).
            token_type_ids: Int64, (batch, n_tokens).
            attention_mask: Int64, (batch, n_tokens), 1 on tokens.

        Returns:
            `last_hidden_state`, float32, (batch, n_tokens, d), zero on padding.
        """
        is_token = attention_mask.bool()
        lengths = is_token.sum(dim=1).tolist()
        positions = torch.arange(is_token.shape[1], device=is_token.device).expand_as(is_token)
        hidden = self.embeddings(
            inputs_embeds=inputs_embeds[is_token].unsqueeze(0),  # (1, n, d), n tokens of all rows
            token_type_ids=token_type_ids[is_token].unsqueeze(0),
            position_ids=positions[is_token].unsqueeze(0),
        ).squeeze(0)  # (n, d)
        for layer in self.encoder.layer:
            if self._checkpointed and self.training:
                hidden = checkpoint(packed_layer, layer, hidden, lengths, use_reentrant=False)
            else:
                hidden = packed_layer(layer, hidden, lengths)
        rows = hidden.new_zeros(*is_token.shape, hidden.shape[-1])
        rows[is_token] = hidden
        return BaseModelOutput(last_hidden_state=rows)


def packed_layer(layer: nn.Module, hidden: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """Apply one layer to the tokens of all rows.

    Args:
        hidden: Float, (n, d), tokens of all rows one after another; so is what it returns.
        lengths: Tokens of each row; their sum is n.
    """
    attention = layer.attention.self
    heads = (len(hidden), attention.num_attention_heads, attention.attention_head_size)
    mixed = attend(
        attention.query(hidden).view(heads),
        attention.key(hidden).view(heads),
        attention.value(hidden).view(heads),
        lengths,
        dropout=attention.dropout.p if layer.training else 0.0,
    )
    attended = layer.attention.output(mixed.reshape(len(hidden), -1), hidden)
    out: torch.Tensor = layer.output(layer.intermediate(attended), attended)
    return out


def attend(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    lengths: Sequence[int],
    *,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Attend within each row.

    Args:
        queries: Float, (n, heads, width), tokens of all rows one after another; so are keys,
            values and what it returns.
        lengths: Tokens of each row; their sum is n.
        dropout: Share of weights dropped, 0..1.
    """
    if queries.is_cuda and queries.dtype in (torch.bfloat16, torch.float16) and not dropout:
        kernel = _flash_kernel()
        if kernel is not None:
            ends = torch.tensor([0, *lengths], device=queries.device).cumsum(0).to(torch.int32)
            longest = max(lengths)
            mixed: torch.Tensor = kernel(queries, keys, values, ends, ends, longest, longest)
            return mixed
    # Neighbouring rows of one length go together: in a batch without padding, all of them.
    groups = groupby(length for length in lengths if length)
    runs = [(length, length * len(list(group))) for length, group in groups]
    parts = [tensor.split([n for _, n in runs]) for tensor in (queries, keys, values)]
    mixed_rows = []
    for (length, _), *of_rows in zip(runs, *parts, strict=True):
        # (rows, heads, length, width) each
        q, k, v = (part.unflatten(0, (-1, length)).transpose(1, 2) for part in of_rows)
        attended = nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        mixed_rows.append(attended.transpose(1, 2).flatten(0, 1))
    return torch.cat(mixed_rows)


def _flash_kernel() -> Callable[..., torch.Tensor] | None:
    """Return the flash kernel for variable lengths, which torch has since 2.10."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return cast(Callable[..., torch.Tensor], varlen_attn)
