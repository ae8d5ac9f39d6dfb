"""An MPNet that takes token types, as BERT does, for the modules of encoder and reader.

MPNet has no token types of its own, and its tokenizer lower-cases: without them the reader would
not learn which words are capitalised, nor where the text ends and the candidates begin.
Source: MPNet (Song et al. 2020), with the layers of transformers.
"""

from typing import Any

import torch
from torch import nn
from transformers import MPNetConfig, MPNetModel
from transformers.modeling_outputs import BaseModelOutput

MODEL_TYPE = "mpnet"
FIRST_POSITION = 2
"""The position id of the first token of an MPNet."""


class MPNetLayers(nn.Module):
    """The layers of an MPNet, named as transformers names them.

    Args:
        model: An MPNet without pooler.
        token_types: Rows of the table of token types, 0 for none. It starts as zeros, which
            keeps the pretrained function.
    """

    def __init__(self, model: MPNetModel, *, token_types: int = 0) -> None:
        super().__init__()
        self.config = model.config
        self.config.type_vocab_size = token_types
        self.embeddings = model.embeddings
        self.encoder = model.encoder
        if token_types:
            table = torch.zeros(token_types, model.config.hidden_size)
            self.embeddings.token_type_embeddings = nn.Embedding.from_pretrained(
                table, freeze=False
            )

    def get_input_embeddings(self) -> nn.Module:
        """Return the table of word embeddings."""
        table: nn.Module = self.embeddings.word_embeddings
        return table

    def set_input_embeddings(self, table: nn.Module) -> None:
        """Replace the table of word embeddings."""
        self.embeddings.word_embeddings = table

    def forward(
        self,
        *,
        inputs_embeds: torch.Tensor,
        token_type_ids: torch.Tensor,
        attention_mask: torch.Tensor,
    ) -> BaseModelOutput:
        """Read embedded tokens.

        Args:
            inputs_embeds: Float32, (batch, n_tokens, hidden), without positions.
            token_type_ids: Int64, (batch, n_tokens); ignored without a table of token types.
            attention_mask: Int64, (batch, n_tokens), 1 on tokens; padding on the right.

        Returns:
            `last_hidden_state`, float32, (batch, n_tokens, hidden).
        """
        if self.config.type_vocab_size:
            types = self.embeddings.token_type_embeddings(token_type_ids)
            inputs_embeds = inputs_embeds + types  # (batch, n_tokens, hidden)
        hidden = self.embeddings(inputs_embeds=inputs_embeds)
        lowest = torch.finfo(hidden.dtype).min
        bias = (attention_mask[:, None, None, :] == 0).to(hidden.dtype) * lowest
        return self.encoder(hidden, attention_mask=bias, return_dict=True)


def empty_mpnet(settings: dict[str, Any]) -> MPNetLayers:
    """Build an MPNet with random weights and one unused word, to load weights into."""
    config = MPNetConfig.from_dict(settings | {"vocab_size": FIRST_POSITION})
    model = MPNetModel(config, add_pooling_layer=False)
    model.set_input_embeddings(nn.Embedding(1, config.hidden_size))
    return MPNetLayers(model, token_types=int(settings.get("type_vocab_size", 0)))
