"""The Lightning module of the reader: joint training of spans, links and relations."""

import dataclasses

import lightning
import torch
from torch import nn

from relik.models.reader_module import ReaderModel
from relik_training.distill.reader_losses import ReaderDistiller
from relik_training.reader.reader_data import ReaderBatch
from relik_training.reader.reader_targets import IGNORED, NIL_CLASS
from relik_training.recipes.recipe import ReaderTraining
from relik_training.recipes.schema_settings import SchemaTraining
from relik_training.retriever.retriever_module import linear_schedule


class ReaderModule(lightning.LightningModule):
    """Trains a reader on all tasks that its data annotates.

    The losses are cross entropies: of starts over words, of ends over the text given each gold
    start, of links over NIL and candidates, and of each relation for each ordered pair of spans.

    Args:
        embeddings: Float32, (vocabulary, hidden), frozen.
        settings: Rates and their schedule; with the step, the seed is that of dropout. The relation
            bias of a reader that was trained before, `start`, is kept. `start_weight` weights a
            mean over words, few of which are starts; the other losses are means over mentions.
        distiller: Adds losses from a teacher; None for no teacher.
    """

    def __init__(
        self,
        model: ReaderModel,
        embeddings: torch.Tensor,
        *,
        settings: ReaderTraining | SchemaTraining,
        distiller: ReaderDistiller | None = None,
    ) -> None:
        super().__init__()
        self.distiller = distiller
        self.model = model
        self.register_buffer("embeddings", embeddings, persistent=False)
        self._settings = settings
        schema = settings if isinstance(settings, SchemaTraining) else None
        self._start_weight = schema.start_weight if schema else 1.0
        self._last_rate = schema.last_rate if schema else 0.0
        # Callbacks besides those of every run.
        self.watchers: list[lightning.Callback] = []
        if not settings.start:
            # Few pairs have a relation: a bias near their share keeps the first losses small.
            with torch.no_grad():
                model.re_classifier[4].bias.copy_(torch.tensor([2.3, -2.3]))

    def watch(self, watcher: lightning.Callback) -> None:
        """Add a callback to the run; it replaces one with the same state."""
        kept = [each for each in self.watchers if each.state_key != watcher.state_key]
        self.watchers = [*kept, watcher]

    def transfer_batch_to_device(
        self, batch: ReaderBatch, device: torch.device, _dataloader: int
    ) -> ReaderBatch:
        """Move the labels to a device; `losses` moves the arrays."""
        targets = batch.targets
        moved = {f.name: getattr(targets, f.name).to(device) for f in dataclasses.fields(targets)}
        return dataclasses.replace(batch, targets=dataclasses.replace(targets, **moved))

    def training_step(self, batch: ReaderBatch, _index: int) -> torch.Tensor:
        """Compute the loss of one batch."""
        torch.manual_seed(self._settings.seed * 1_000_003 + batch.step)
        losses = self.losses(batch)
        total = torch.stack(list(losses.values())).sum()
        self.log("loss", total, prog_bar=True, batch_size=len(batch.arrays.ids))
        self.log_dict(losses, prog_bar=True, batch_size=len(batch.arrays.ids))
        return total

    def losses(self, batch: ReaderBatch) -> dict[str, torch.Tensor]:
        """Compute the loss of each task.

        Returns:
            Scalars named start, end, link and relation, and those of a teacher.
        """
        arrays, targets = batch.arrays, batch.targets
        table = self.get_buffer("embeddings")

        def tensor(values: object) -> torch.Tensor:
            return torch.as_tensor(values, device=table.device)

        hidden, start_logits, entities, relations = self.model.encode(
            self.model.embed(tensor(arrays.ids), table),
            tensor(arrays.types),
            tensor(arrays.mask),
            tensor(arrays.entity_positions),
            tensor(arrays.relation_positions),
        )
        teacher_losses: dict[str, torch.Tensor] = {}
        if self.distiller is not None:
            encoded = (hidden, start_logits, entities, relations)
            teacher_losses = self.distiller.losses(self.model, encoded, batch)
            if self.distiller.states_alone(batch.step):
                return teacher_losses
        start_loss = nn.functional.cross_entropy(
            start_logits.float().flatten(0, 1), targets.starts.flatten(), ignore_index=IGNORED
        )
        losses = teacher_losses | {"start": self._start_weight * start_loss}
        if len(targets.rows) == 0:
            return losses
        # Ends are tokens of the text: the candidates after it need no scores.
        reach = int(targets.end_mask.any(dim=0).nonzero().max()) + 1
        ends = self.model.ends(hidden[:, :reach], targets.rows, targets.first)
        tokens = torch.arange(reach, device=ends.device)
        allowed = targets.end_mask[targets.rows, :reach] & (tokens >= targets.first[:, None])
        losses["end"] = nn.functional.cross_entropy(
            ends.float().masked_fill(~allowed, -1e9), targets.last
        )
        losses["link"] = self._link_loss(hidden, entities, batch)
        if len(targets.subjects):
            losses["relation"] = self._relation_loss(hidden, relations, batch)
        return losses

    def _link_loss(
        self, hidden: torch.Tensor, entities: torch.Tensor, batch: ReaderBatch
    ) -> torch.Tensor:
        targets, non_mentions = batch.targets, batch.targets.wrong
        rows = torch.cat((targets.rows, non_mentions[:, 0]))
        first = torch.cat((targets.first, non_mentions[:, 1]))
        last = torch.cat((targets.last, non_mentions[:, 2]))
        labels = torch.cat((targets.links, torch.full_like(non_mentions[:, 0], NIL_CLASS)))
        links = self.model.link(hidden, rows, first, last, entities)
        padding = ~torch.as_tensor(batch.arrays.entity_mask, device=links.device)[rows]
        padding[:, 0] = True
        loss = nn.functional.cross_entropy(
            links.float().masked_fill(padding, -1e9), labels, ignore_index=IGNORED, reduction="sum"
        )
        return loss / (labels != IGNORED).sum().clamp(min=1)

    def _relation_loss(
        self, hidden: torch.Tensor, relations: torch.Tensor, batch: ReaderBatch
    ) -> torch.Tensor:
        targets = batch.targets
        positions = torch.stack((targets.rows, targets.first, targets.last))  # (3, n_spans)
        if max(int(targets.subjects.max()), int(targets.objects.max())) >= positions.shape[1]:
            positions = torch.cat((positions, targets.wrong.T), dim=1)
        rows, first, last = positions
        logits = self.model.relate(
            hidden,
            rows,
            first,
            last,
            targets.subjects,
            targets.objects,
            relations,
        )
        cells = nn.functional.cross_entropy(
            logits.float().flatten(0, 1), targets.relations.flatten(), reduction="none"
        )
        # Normalised by the positives, as in dense detection: most cells are easy negatives.
        total = (cells * targets.weights.flatten()).sum()
        return total / (targets.relations.sum() + 1)

    def configure_optimizers(self) -> dict[str, object]:
        """Set up AdamW with layer-wise decay of the rate, linear warm-up and decay."""
        groups: dict[float, list[nn.Parameter]] = {}
        settings = self._settings
        n_layers = getattr(self.model.backbone.config, "num_hidden_layers", 0)
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                groups.setdefault(self._rate(name, n_layers), []).append(parameter)
        if self.distiller is not None:
            head_group = groups.setdefault(settings.head_learning_rate, [])
            head_group.extend(self.distiller.parameters())
        optimizer = torch.optim.AdamW(
            [{"params": group, "lr": rate} for rate, group in groups.items()],
            weight_decay=0.01,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            linear_schedule(settings.warmup_steps, settings.max_steps, floor=self._last_rate),
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _rate(self, name: str, n_layers: int) -> float:
        if not name.startswith("backbone."):
            return self._settings.head_learning_rate
        _, found, rest = name.partition(".layer.")
        depth = n_layers - 1 - int(rest.split(".", 1)[0]) if found else n_layers
        return self._settings.learning_rate * self._settings.layer_decay**depth
