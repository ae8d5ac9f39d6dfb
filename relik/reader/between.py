"""What stands between two spans, read by relations too where a reader is trained so.

The ends of two mentions say what they are; the words between them often say what holds, so that
their states are max-pooled and added to the pair. Source: the localised context of SpERT (Eberts
and Ulges, ECAI 2020, section 3.2). A table of maxima over 1, 2, 4 ... tokens gives the maximum
over any range in two look-ups, so that many pairs of a long row cost little.
"""

import torch
from torch import nn

from relik.reader.heads import LEVELS, HeadConfig

FIRST_GAIN = 0.1
"""How much the words between count for at first: a reader begins nearly as it was without them."""


class Between(nn.Module):
    """Makes a vector of the tokens strictly between two spans of a row.

    Tokens are projected twice, for pairs whose subject comes first and for those whose object
    does, and pooled by their maximum. Spans that touch or overlap have nothing between them.

    Args:
        config: Sizes.
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        width = config.linears_hidden_size
        self.dropout = nn.Dropout(config.dropout)
        self.dense = nn.Linear(config.hidden_size, 2 * width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        nn.init.constant_(self.LayerNorm.weight, FIRST_GAIN)

    def forward(
        self,
        hidden: torch.Tensor,
        rows: torch.Tensor,
        subjects: torch.Tensor,
        objects: torch.Tensor,
    ) -> torch.Tensor:
        """Read what stands between.

        Args:
            hidden: Float32, (batch, n_tokens, d); at most 512 tokens.
            rows: Int64, (n_pairs,), row of each pair.
            subjects: Int64, (n_pairs, 2), first and last token of the subject.
            objects: Int64, (n_pairs, 2), likewise.

        Returns:
            Float32, (n_pairs, L).
        """
        tokens = self.dense(self.dropout(hidden))  # (batch, n_tokens, 2L)
        forward = subjects[:, 0] < objects[:, 0]  # (n_pairs,)
        begins = torch.where(forward, subjects[:, 1], objects[:, 1]) + 1
        length = torch.where(forward, objects[:, 0], subjects[:, 0]) - begins  # (n_pairs,)
        pooled = _maxima(tokens, rows, begins, length.clamp(min=1))  # (n_pairs, 2L)
        pooled = torch.where((length > 0).unsqueeze(1), pooled, 0.0)
        by_order = pooled.chunk(2, dim=1)
        chosen = torch.where(forward.unsqueeze(1), *by_order)  # (n_pairs, L)
        normed: torch.Tensor = self.LayerNorm(chosen)
        return normed


def _maxima(
    tokens: torch.Tensor, rows: torch.Tensor, begins: torch.Tensor, length: torch.Tensor
) -> torch.Tensor:
    """Give the maximum of each range of tokens: of those two in the table that cover it.

    Args:
        tokens: Float32, (batch, n_tokens, w).
        rows: Int64, (n,).
        begins: Int64, (n,), first token.
        length: Int64, (n,), at least 1.

    Returns:
        Float32, (n, w).
    """
    table, n_tokens = [tokens], tokens.shape[1]
    steps = [1 << k for k in range(LEVELS - 1)]  # what each level reaches further than the last
    steps = [step for step in steps if step < n_tokens]
    for step in steps:
        last = table[-1]
        # What goes round the end of a row is never looked up.
        table.append(torch.maximum(last, last.roll(-step, dims=1)))
    reach = torch.tensor([2 * step for step in steps], device=length.device)
    level = (length.unsqueeze(1) >= reach).sum(dim=1)  # (n,)
    levels = torch.stack(table)  # (n_levels, batch, n_tokens, w)
    begins = begins.clamp(max=n_tokens - 1)
    from_end = (begins + length - (1 << level)).clamp(max=n_tokens - 1)
    return torch.maximum(levels[level, rows, begins], levels[level, rows, from_end])
