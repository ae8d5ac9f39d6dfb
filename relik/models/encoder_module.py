"""The query and entity encoder as a torch module: backbone, mean over tokens, unit length.

Word embeddings are looked up outside, so that encoder and reader can share one frozen table.
"""

import torch
from torch import nn


class EncoderModel(nn.Module):
    """A transformer with mean pooling over its tokens.

    Source: Sentence-BERT (Reimers and Gurevych 2019).

    Args:
        backbone: A Hugging Face encoder that takes `inputs_embeds`.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def encode(
        self,
        inputs_embeds: torch.Tensor,
        token_type_ids: torch.Tensor,
        attention_mask: torch.Tensor,
    ) -> torch.Tensor:
        """Encode token embeddings into unit vectors.

        Args:
            inputs_embeds: Float32, (batch, n_tokens, hidden).
            token_type_ids: Int64, (batch, n_tokens).
            attention_mask: Int64, (batch, n_tokens), 1 on tokens, 0 on padding.

        Returns:
            Float32, (batch, hidden), L2-normalised.
        """
        hidden = self.backbone(
            inputs_embeds=inputs_embeds,
            token_type_ids=token_type_ids,
            attention_mask=attention_mask,
        ).last_hidden_state  # (batch, n_tokens, hidden)
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)  # (batch, n_tokens, 1)
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)  # (batch, hidden)
        return nn.functional.normalize(mean, dim=-1)

    forward = encode
