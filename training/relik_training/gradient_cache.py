"""Encode a large batch in chunks, so that memory is that of one chunk.

Source: gradient caching (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under
Memory Limited Setup"). A chunk is encoded without a graph; the loss over all vectors gives each
vector its gradient; then each chunk is encoded again, with a graph, and takes its vectors'
gradients backward. Checkpointing the chunk (Chen et al. 2016) makes autograd do just that: what
stays between the passes are token ids, vectors and the state of the random generators.
"""

from collections.abc import Callable

import torch
from torch.utils.checkpoint import checkpoint

Encode = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def encode_in_chunks(
    encode: Encode, ids: torch.Tensor, mask: torch.Tensor, *, chunk: int
) -> torch.Tensor:
    """Encode texts chunk by chunk, each twice: once for its vectors, once for its gradients.

    Texts of like length share a chunk, which is cut to its longest: with less padding the second
    pass costs less than it would.

    Args:
        encode: Encodes ids and mask, (n, n_tokens) each, to vectors (n, dim). Its dropout is the
            same in both passes.
        ids: Int64, (n_texts, n_tokens), padded on the right.
        mask: Int64, same shape, 1 on tokens.
        chunk: Most texts at once, at least 1.

    Returns:
        Vectors, (n_texts, dim), in the order given.
    """
    lengths = mask.sum(dim=1)  # (n_texts,)
    order = torch.argsort(lengths, stable=True)
    parts = []
    for rows in order.split(chunk):
        width = int(lengths[rows[-1]])
        part = ids[rows, :width], mask[rows, :width]  # (chunk, width)
        # The encoder may keep nothing but its inputs: autograd encodes again when it needs more.
        parts.append(checkpoint(encode, *part, use_reentrant=False, preserve_rng_state=True))
    return torch.cat(parts)[torch.argsort(order)]
