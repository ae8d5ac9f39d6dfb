"""The Lightning module of the retriever: contrastive training of one encoder.

Source: multi-positive InfoNCE over a window's entities, as ReLiK section 3.1 (ACL 2024) after
DPR (Karpukhin et al. 2020), with in-batch negatives, namesakes and mined hard negatives.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import lightning
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from relik.models.encoder_module import EncoderModel
from relik_training.distill.encoder_losses import RetrieverDistiller
from relik_training.recipes.run_settings import RunSettings
from relik_training.retriever.retriever_data import RetrieverBatch, Tokens

Encode = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

KEPT = "kept"
"""Key of the state of `RetrieverModule.kept` in a checkpoint."""


def encode_in_chunks(
    encode: Encode, ids: torch.Tensor, mask: torch.Tensor, *, chunk: int
) -> torch.Tensor:
    """Encode texts in chunks with gradient checkpointing: a second pass computes the gradients.

    Texts are sorted by length, and a chunk is cut to its longest text: less padding pays for a
    part of the second pass.

    Args:
        encode: Encodes ids and mask, (n, n_tokens) each, to vectors (n, dim). Its dropout is the
            same in both passes.
        ids: Int64, (n_texts, n_tokens), padded on the right.
        mask: Int64, same shape, 1 on tokens.
        chunk: Maximum texts of a chunk, at least 1.

    Returns:
        Vectors, (n_texts, dim), in the order given.
    """
    lengths = mask.sum(dim=1)  # (n_texts,)
    order = torch.argsort(lengths, stable=True)
    parts = []
    for rows in order.split(chunk):
        width = int(lengths[rows[-1]])
        part = ids[rows, :width], mask[rows, :width]  # (chunk, width)
        # Autograd keeps only the inputs of a chunk, and encodes it again in the backward pass.
        parts.append(checkpoint(encode, *part, use_reentrant=False, preserve_rng_state=True))
    return torch.cat(parts)[torch.argsort(order)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The training objective.

    Args:
        temperature: Divides cosines.
        matryoshka: Dimensions of truncated vectors to train, besides the full ones.
        chunk: As in `encode_in_chunks`; 0 for no chunks.
    """

    temperature: float
    matryoshka: tuple[int, ...] = ()
    chunk: int = 0


class Kept(Protocol):
    """State besides weights that a checkpoint needs, so that a resumed run ends the same."""

    def state(self) -> dict[str, torch.Tensor]:
        """Return the state."""

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Restore the state."""


def contrastive_loss(
    scores: torch.Tensor, positive: torch.Tensor, ignored: torch.Tensor
) -> torch.Tensor:
    """Compute the InfoNCE loss of each positive against the negatives of its window.

    For a positive p of a window: -s_p + log(exp(s_p) + sum over negatives of exp(s_n)); mean
    over all positives, 0 without one. Other positives of the window are left out of the sum.

    Args:
        scores: Float32, (n_windows, n_passages), already divided by the temperature.
        positive: Bool, same shape.
        ignored: Bool, same shape, neither positive nor negative.
    """
    negatives = scores.masked_fill(positive | ignored, float("-inf"))
    rest = torch.logsumexp(negatives, dim=1, keepdim=True)  # (n_windows, 1)
    losses = torch.logaddexp(scores, rest.expand_as(scores)) - scores
    count = positive.sum().clamp(min=1)
    return torch.where(positive, losses, 0.0).sum() / count


def matryoshka_loss(
    windows: torch.Tensor, passages: torch.Tensor, batch: RetrieverBatch, objective: Objective
) -> torch.Tensor:
    """Compute the mean contrastive loss over full and truncated vectors.

    Source: Matryoshka representations (Kusupati et al. 2022), with equal weights. The mean rather
    than the sum, so that gradient clipping does not depend on the number of dimensions.

    Args:
        windows: Float32, (n_windows, dim), L2-normalised.
        passages: Float32, (n_passages, dim), L2-normalised.
    """
    losses = [
        contrastive_loss(
            _beginning(windows, dim) @ _beginning(passages, dim).T / objective.temperature,
            batch.positive,
            batch.ignored,
        )
        for dim in sorted({windows.shape[1], *objective.matryoshka})
    ]
    return torch.stack(losses).mean()


class RetrieverModule(lightning.LightningModule):
    """Trains one encoder for windows and records.

    Args:
        model: The encoder, whose backbone reads embeddings.
        embeddings: Float32, (vocabulary, hidden), frozen.
        settings: Peak rate of AdamW, which decays linearly to zero; with the step, the seed is
            that of dropout.
    """

    def __init__(
        self,
        model: EncoderModel,
        embeddings: torch.Tensor,
        *,
        settings: RunSettings,
        objective: Objective,
    ) -> None:
        super().__init__()
        self.model = model
        self.kept: Kept | None = None
        self.distiller: RetrieverDistiller | None = None
        self.register_buffer("embeddings", embeddings, persistent=False)
        self._settings = settings
        self._objective = objective

    def encode(self, tokens: Tokens) -> torch.Tensor:
        """Encode a padded batch.

        Returns:
            Float32, (batch, hidden), L2-normalised.
        """
        chunk = self._objective.chunk
        if chunk and len(tokens.ids) > chunk:
            return encode_in_chunks(self._encode, tokens.ids, tokens.mask, chunk=chunk).float()
        return self._encode(tokens.ids, tokens.mask).float()

    def _encode(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        table: torch.Tensor = self.get_buffer("embeddings")
        vectors: torch.Tensor = self.model.encode(
            nn.functional.embedding(ids, table), torch.zeros_like(ids), mask
        )
        return vectors

    def transfer_batch_to_device(
        self, batch: RetrieverBatch, device: torch.device, _dataloader: int
    ) -> RetrieverBatch:
        """Move a batch to a device, which Lightning cannot do for frozen dataclasses."""
        return replace(
            batch,
            windows=batch.windows.to(device),
            passages=batch.passages.to(device),
            positive=batch.positive.to(device),
            ignored=batch.ignored.to(device),
        )

    def training_step(self, batch: RetrieverBatch, _index: int) -> torch.Tensor:
        """Compute the loss of one batch."""
        # Dropout depends on the step only, so that a resumed run is reproducible.
        torch.manual_seed(self._settings.seed * 1_000_003 + batch.step)
        windows, passages = self.encode(batch.windows), self.encode(batch.passages)
        # bfloat16 has about two decimal digits: too few to rank records with close cosines.
        with torch.autocast(windows.device.type, enabled=False):
            loss = matryoshka_loss(windows, passages, batch, self._objective)
        with torch.no_grad(), torch.autocast(windows.device.type, enabled=False):
            scores = windows @ passages.T  # (n_windows, n_passages)
            best = scores.masked_fill(batch.ignored, -1.0).argmax(dim=1, keepdim=True)
            top1 = batch.positive.gather(1, best).float().mean()
        metrics = {"top1": top1}
        if self.distiller is not None:
            teacher_losses = self.distiller.losses(batch, windows, passages)
            loss = loss + torch.stack(list(teacher_losses.values())).sum()
            metrics |= teacher_losses
        self.log_dict({"loss": loss, **metrics}, prog_bar=True, batch_size=len(scores))
        return loss

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the state of `kept` to a checkpoint."""
        if self.kept is not None:
            checkpoint[KEPT] = self.kept.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the state of `kept` from a checkpoint."""
        if self.kept is not None and KEPT in checkpoint:
            self.kept.restore(checkpoint[KEPT])

    def configure_optimizers(self) -> dict[str, object]:
        """Set up AdamW with linear warm-up and decay."""
        trained = [p for p in self.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=self._settings.learning_rate, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, linear_schedule(self._settings.warmup_steps, self._settings.max_steps)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class linear_schedule:  # a class, so that it can be pickled with a checkpoint; used as a function
    """Linear warm-up, then linear decay.

    Args:
        max_steps: Step at which the decay ends.
        floor: Share of the peak rate at the end, 0..1.
    """

    def __init__(self, warmup_steps: int, max_steps: int, *, floor: float = 0.0) -> None:
        self._warmup_steps = warmup_steps
        self._max_steps = max_steps
        self._floor = floor

    def __call__(self, step: int) -> float:
        """Return the factor of the peak rate, 0..1, after a number of steps."""
        if step < self._warmup_steps:
            return (step + 1) / max(1, self._warmup_steps)
        left = max(0, self._max_steps - step) / max(1, self._max_steps - self._warmup_steps)
        return self._floor + (1 - self._floor) * left


def _beginning(vectors: torch.Tensor, dim: int) -> torch.Tensor:
    if dim == vectors.shape[1]:
        return vectors
    return nn.functional.normalize(vectors[:, :dim], dim=-1)  # (n, dim)
