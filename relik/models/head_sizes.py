"""Sizes and kinds of the heads of a reader, without torch."""

from dataclasses import dataclass

ACTIVATIONS = ("gelu", "gelu_10", "relu")
"""Names of the functions inside the heads; "gelu_10" is cut off at -10 and 10."""

LEVELS = 9
"""Maxima over 1, 2, 4 ... 2^8 tokens: any range of a row of 512 is covered by two of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadConfig:
    """Sizes of the heads.

    Args:
        hidden_size: Width of the backbone.
        linears_hidden_size: Width L inside the heads.
        layer_norm_eps: Epsilon of every LayerNorm in the heads.
        activation: "gelu" (exact), "gelu_10" (the same within -10..10) or "relu".
        dropout: Dropout in the heads, training only.
        between: Relations read the words between two spans too, not the spans alone.
    """

    hidden_size: int
    linears_hidden_size: int = 256
    layer_norm_eps: float = 1e-12
    activation: str = "gelu"
    dropout: float = 0.1
    between: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderHeads:
    """Which heads a reader has; the default is what we train, the rest is for released readers.

    Args:
        end_classes: 1 where each start has one end, the best; 2 where each token is an end or not.
        links: Has the heads that link spans to entities by start and end.
        relations: Has the heads that relate spans.
        types: Has the heads that link a span as a whole; not with `links`.
        type_embedding: What is related are spans along with a vector of width d of their entities.
    """

    end_classes: int = 1
    links: bool = True
    relations: bool = True
    types: bool = False
    type_embedding: bool = False
