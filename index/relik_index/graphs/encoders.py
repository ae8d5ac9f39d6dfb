"""The transformers that have a graph of padded batches: BERT and MPNet."""

from typing import TypeAlias

from relik_index.graphs.bert import BertConfig, add_bert
from relik_index.graphs.graph import Graph
from relik_index.graphs.mpnet import MPNetConfig, add_mpnet

EncoderConfig: TypeAlias = BertConfig | MPNetConfig


def encoder_config(config: dict[str, object]) -> EncoderConfig:
    """Read a transformers configuration.

    Args:
        config: As in the `backbone` of config.json.

    Returns:
        The settings.

    Raises:
        ConfigError: There is no graph for it.
    """
    kind = MPNetConfig if config.get("model_type") == "mpnet" else BertConfig
    return kind.of(config)


def add_encoder(graph: Graph, config: EncoderConfig, *, prefix: str, output: str = "") -> str:
    """Add the transformer.

    Args:
        graph: Gets the nodes.
        config: Sizes.
        prefix: What the names of the weights begin with.
        output: Name of the result; "" to make one up.

    Returns:
        Name of the hidden states, (batch, n_tokens, hidden).
    """
    if isinstance(config, MPNetConfig):
        return add_mpnet(graph, config, prefix=prefix, output=output)
    return add_bert(graph, config, prefix=prefix, output=output)
