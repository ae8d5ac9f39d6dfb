"""Stopping a run that no longer gets better on windows kept apart, with its best weights."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from relik_training.augment.augmentation import origin
from relik_training.reader.reader_data import ReaderBatch, ReaderData
from relik_training.reader.reader_module import ReaderModule
from relik_training.recipes.reader_settings import EarlyStopping
from relik_training.recipes.recipe import ReaderTraining
from relik_training.run.trainer import BatchSource

BEST = "best.safetensors"


def keep_apart(doc_ids: Sequence[str], share: float, seed: int) -> list[int]:
    """Choose documents to measure on; which ones depends on the seed and their ids alone.

    Args:
        doc_ids: Document of each window; a copy goes with what it is a copy of.
        share: Share of the documents, 0..1; one is chosen in any case.
        seed: Seed of the choice.

    Returns:
        Positions of their windows, sorted.
    """
    drawn = {key: _draw(key, seed) for key in {origin(doc_id) for doc_id in doc_ids}}
    if not drawn:
        return []
    limit = max(share, min(drawn.values()))
    return [i for i, doc_id in enumerate(doc_ids) if drawn[origin(doc_id)] <= limit]


def _draw(key: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed} {key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def watch_apart(data: ReaderData, config: ReaderTraining) -> tuple["StopEarly", list[int]]:
    """Keep windows apart to measure on.

    Args:
        data: All windows of a run.
        config: Settings of the run.

    Returns:
        What measures and stops, and the positions of the windows that are left to train on.
    """
    apart = keep_apart(data.documents, config.early_stopping.share, config.seed)
    size = config.batch_size
    # Steps that no training has: candidates are drawn for these windows once and for all.
    batches = [
        data.batch(apart[first : first + size], config.max_steps + first)
        for first in range(0, len(apart), size)
    ]
    held = set(apart)
    watcher = StopEarly(
        config.early_stopping,
        batches,
        folder=Path(config.out) / "checkpoints",
        max_steps=config.max_steps,
    )
    return watcher, [i for i in range(len(data.lengths)) if i not in held]


class Part:
    """Some examples of a source.

    Args:
        source: All examples.
        positions: Those that take part.
    """

    def __init__(self, source: BatchSource, positions: Sequence[int]) -> None:
        self._source = source
        self._positions = list(positions)

    @property
    def lengths(self) -> list[int]:
        """Return the cost of each example."""
        lengths = self._source.lengths
        return [lengths[i] for i in self._positions]

    @property
    def repeats(self) -> list[int]:
        """Return how often each example comes in an epoch."""
        repeats = self._source.repeats
        return [repeats[i] for i in self._positions]

    def batch(self, chosen: Sequence[int], step: int) -> Any:
        """Make the batch of a step.

        Args:
            chosen: Positions among those that take part.
            step: Step of the run.

        Returns:
            The batch.
        """
        return self._source.batch([self._positions[i] for i in chosen], step)


class StopEarly(lightning.Callback):
    """Measures the loss now and then, stops when it no longer falls, and keeps the best weights.

    How far it has come is part of every checkpoint, so that a killed run stops where a run that
    was never killed does.

    Args:
        settings: How often, and how long to wait.
        batches: What the loss is measured on.
        folder: Where the best weights are kept.
        max_steps: Steps of the whole run; the last one is measured too.
    """

    def __init__(
        self,
        settings: EarlyStopping,
        batches: Sequence[ReaderBatch],
        *,
        folder: Path,
        max_steps: int,
    ) -> None:
        self._settings = settings
        self._batches = batches
        self._file = folder / BEST
        self._max_steps = max_steps
        self._best: float | None = None
        self._waited = 0
        self._stopped = False

    def state_dict(self) -> dict[str, Any]:
        """Give what a checkpoint keeps.

        Returns:
            The best loss, how many measurements ago it was, and whether the run was stopped.
        """
        return {"best": self._best, "waited": self._waited, "stopped": self._stopped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what a checkpoint kept.

        Args:
            state_dict: As `state_dict` gave it.
        """
        self._best = state_dict["best"]
        self._waited = state_dict["waited"]
        self._stopped = state_dict["stopped"]

    def on_train_start(
        self, trainer: lightning.Trainer, _module: lightning.LightningModule
    ) -> None:
        """Leave a run alone that was stopped before.

        Args:
            trainer: What runs.
        """
        trainer.should_stop = self._stopped

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        *_outcome: object,
    ) -> None:
        """Measure where it is time.

        Args:
            trainer: What runs.
            module: What is trained.
        """
        step = trainer.global_step
        if not isinstance(module, ReaderModule):
            return
        if step % self._settings.steps and step != self._max_steps:
            return
        loss = self._measure(trainer, module)
        module.log("held_back_loss", loss, prog_bar=True)
        if self._best is None or loss < self._best:
            self._best, self._waited = loss, 0
            self._keep(module.model)
        else:
            self._waited += 1
        self._stopped = self._waited >= self._settings.patience
        trainer.should_stop = trainer.should_stop or self._stopped

    def on_fit_end(self, _trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Go back to the best weights.

        Args:
            module: What was trained.
        """
        if self._best is not None and isinstance(module, ReaderModule):
            module.model.load_state_dict(load_file(self._file))

    def _measure(self, trainer: lightning.Trainer, module: ReaderModule) -> float:
        total = 0.0
        with _evaluating(module), torch.no_grad(), trainer.precision_plugin.val_step_context():
            for batch in self._batches:
                moved = module.transfer_batch_to_device(batch, module.device, 0)
                total += float(torch.stack(list(module.losses(moved).values())).sum())
        return total / len(self._batches)

    def _keep(self, model: nn.Module) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        aside = self._file.with_suffix(".partial")
        save_file({name: v.detach().contiguous() for name, v in model.state_dict().items()}, aside)
        os.replace(aside, self._file)


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Switch dropout off, and leave each part as it was."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
