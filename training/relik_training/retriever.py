"""Contrastive training of the retriever as a Lightning module.

Source: multi-positive InfoNCE over a window's entities, as ReLiK section 3.1 (ACL 2024) after
DPR (Karpukhin et al. 2020), with in-batch and namesake hard negatives.
"""

from dataclasses import dataclass

import lightning
import torch
from torch import nn

from relik.retriever.model import EncoderModel


@dataclass(frozen=True, slots=True)
class Tokens:
    """A padded batch of token ids.

    Args:
        ids: Int64, (batch, n_tokens).
        mask: Int64, (batch, n_tokens), 1 on tokens.
    """

    ids: torch.Tensor
    mask: torch.Tensor

    def to(self, device: torch.device) -> "Tokens":
        """Copy to a device.

        Args:
            device: Where to.

        Returns:
            The copy.
        """
        return Tokens(self.ids.to(device), self.mask.to(device))


@dataclass(frozen=True, slots=True)
class RetrieverBatch:
    """Windows, passages and which belongs to which.

    Args:
        windows: Tokens of the windows, (n_windows, n_tokens).
        passages: Tokens of records: positives and negatives, (n_passages, n_tokens).
        positive: Bool, (n_windows, n_passages).
        ignored: Bool, (n_windows, n_passages): neither positive nor negative.
        step: Step of the run, seeds dropout.
    """

    windows: Tokens
    passages: Tokens
    positive: torch.Tensor
    ignored: torch.Tensor
    step: int


def contrastive_loss(
    scores: torch.Tensor, positive: torch.Tensor, ignored: torch.Tensor
) -> torch.Tensor:
    """Score each positive against the negatives of its window.

    For a positive p of a window: -s_p + log(exp(s_p) + sum over negatives of exp(s_n)); mean
    over all positives. Other positives of the window are left out of the sum.

    Args:
        scores: Float32, (n_windows, n_passages), already divided by the temperature.
        positive: Bool, same shape.
        ignored: Bool, same shape.

    Returns:
        Scalar; zero if there is no positive.
    """
    negatives = scores.masked_fill(positive | ignored, float("-inf"))
    rest = torch.logsumexp(negatives, dim=1, keepdim=True)  # (n_windows, 1)
    losses = torch.logaddexp(scores, rest.expand_as(scores)) - scores
    count = positive.sum().clamp(min=1)
    return torch.where(positive, losses, 0.0).sum() / count


class RetrieverModule(lightning.LightningModule):
    """Trains one encoder for windows and records.

    Args:
        model: The encoder; its backbone takes embeddings.
        embeddings: Float32, (vocabulary, hidden), frozen.
        learning_rate: Peak rate of AdamW.
        warmup_steps: Steps of linear warm-up.
        max_steps: Steps of the run; the rate falls linearly to zero.
        temperature: Divides cosines.
        seed: Seed of dropout, with the step.
    """

    def __init__(
        self,
        model: EncoderModel,
        embeddings: torch.Tensor,
        *,
        learning_rate: float,
        warmup_steps: int,
        max_steps: int,
        temperature: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("embeddings", embeddings, persistent=False)
        self._learning_rate = learning_rate
        self._warmup_steps = warmup_steps
        self._max_steps = max_steps
        self._temperature = temperature
        self._seed = seed

    def encode(self, tokens: Tokens) -> torch.Tensor:
        """Encode a padded batch.

        Args:
            tokens: Token ids and mask.

        Returns:
            Float32, (batch, hidden), L2-normalised.
        """
        table: torch.Tensor = self.get_buffer("embeddings")
        vectors: torch.Tensor = self.model.encode(
            nn.functional.embedding(tokens.ids, table), torch.zeros_like(tokens.ids), tokens.mask
        )
        return vectors

    def transfer_batch_to_device(
        self, batch: RetrieverBatch, device: torch.device, _dataloader: int
    ) -> RetrieverBatch:
        """Move a batch; Lightning itself does not move frozen values.

        Args:
            batch: The batch.
            device: Where to.

        Returns:
            The batch on the device.
        """
        return RetrieverBatch(
            windows=batch.windows.to(device),
            passages=batch.passages.to(device),
            positive=batch.positive.to(device),
            ignored=batch.ignored.to(device),
            step=batch.step,
        )

    def training_step(self, batch: RetrieverBatch, _index: int) -> torch.Tensor:
        """Compute the loss of one batch.

        Args:
            batch: Windows and passages.

        Returns:
            Scalar loss.
        """
        # Dropout depends on the step alone, so that a resumed run repeats the lost one.
        torch.manual_seed(self._seed * 1_000_003 + batch.step)
        scores = self.encode(batch.windows) @ self.encode(batch.passages).T
        loss = contrastive_loss(scores / self._temperature, batch.positive, batch.ignored)
        with torch.no_grad():
            best = scores.masked_fill(batch.ignored, -1.0).argmax(dim=1, keepdim=True)
            top1 = batch.positive.gather(1, best).float().mean()
        self.log_dict({"loss": loss, "top1": top1}, prog_bar=True, batch_size=len(scores))
        return loss

    def configure_optimizers(self) -> dict[str, object]:
        """Set up AdamW with linear warm-up and decay.

        Returns:
            Optimizer and schedule in Lightning's form.
        """
        trained = [p for p in self.model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=self._learning_rate, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, linear_schedule(self._warmup_steps, self._max_steps)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class linear_schedule:  # used as a function; a class so that it survives a checkpoint
    """Linear warm-up, then linear decay to zero.

    Args:
        warmup_steps: Steps of warm-up.
        max_steps: Step at which the rate is zero.
    """

    def __init__(self, warmup_steps: int, max_steps: int) -> None:
        self._warmup_steps = warmup_steps
        self._max_steps = max_steps

    def __call__(self, step: int) -> float:
        """Give the factor of the peak rate at a step.

        Args:
            step: Steps done.

        Returns:
            0..1.
        """
        if step < self._warmup_steps:
            return (step + 1) / max(1, self._warmup_steps)
        left = self._max_steps - step
        return max(0.0, left / max(1, self._max_steps - self._warmup_steps))
