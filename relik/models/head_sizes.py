"""Sizes and kinds of the heads of a reader, without torch."""

from dataclasses import dataclass

ACTIVATIONS = ("gelu", "gelu_10", "relu")
"""Activation functions of the heads; "gelu_10" is clipped to -10..10."""

LEVELS = 9
"""Levels of a table of maxima over 1, 2, 4 ... 2^8 tokens: two entries cover any range of 512."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadConfig:
    """Sizes of the heads.

    Args:
        hidden_size: Width of the backbone.
        linears_hidden_size: Width L inside the heads.
        layer_norm_eps: Epsilon of every LayerNorm in the heads.
        activation: One of `ACTIVATIONS`.
        dropout: Dropout in the heads, training only.
        between: The relation head also reads the words between two spans.
    """

    hidden_size: int
    linears_hidden_size: int = 256
    layer_norm_eps: float = 1e-12
    activation: str = "gelu"
    dropout: float = 0.1
    between: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderHeads:
    """The heads of a reader; the defaults are those we train, the rest is for released readers.

    Args:
        end_classes: 1 where each start has one end, the best; 2 where each token is an end or not.
        links: Heads that link spans to entities by start and end.
        types: Heads that link a span as a whole; not with `links`.
        type_embedding: The relation head also reads a vector of width d of each span's entity.
    """

    end_classes: int = 1
    links: bool = True
    relations: bool = True
    types: bool = False
    type_embedding: bool = False
