"""Measuring a run while it trains: keep its best weights, stop where it gets no better."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import lightning
import torch
from lightning.pytorch.callbacks import WeightAveraging
from safetensors.torch import load_file, save_file
from torch import nn

from relik_training.augment.augmentation import origin
from relik_training.run.batches import BatchSource

CHECKPOINTS = "checkpoints"
"""Folder in that of a run."""
BEST = "best.safetensors"
"""Weights with the least loss, in the folder of the checkpoints."""
BEST_DEV = "best-dev.safetensors"
"""Weights with the best F1 on development texts, likewise."""
DEV_F1 = "dev_f1"

Measure: TypeAlias = Callable[[], Mapping[str, float]]
"""Measures the module that is being trained, with dropout off; figures by name."""


class InDocument(Protocol):
    """An example that comes from a document."""

    @property
    def doc_id(self) -> str:
        """Id of the document."""


E = TypeVar("E", bound=InDocument)


def keep_apart(doc_ids: Sequence[str], share: float, seed: int) -> list[int]:
    """Choose documents to measure on, by the seed and their ids alone.

    Args:
        doc_ids: Document of each window; a copy goes with its original.
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


def split_apart(examples: Sequence[E], share: float, seed: int) -> tuple[list[E], list[E]]:
    """Split examples into those to train on and those to measure on; none of these at share 0."""
    held = set(keep_apart([each.doc_id for each in examples], share, seed) if share else ())
    return (
        [each for i, each in enumerate(examples) if i not in held],
        [each for i, each in enumerate(examples) if i in held],
    )


def _draw(key: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed} {key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


class Part:
    """The examples of a source at some positions."""

    def __init__(self, source: BatchSource, positions: Sequence[int]) -> None:
        self._source = source
        self._positions = list(positions)
        lengths, repeats = source.lengths, source.repeats
        self.lengths = [lengths[i] for i in positions]
        self.repeats = [repeats[i] for i in positions]

    def batch(self, chosen: Sequence[int], step: int) -> Any:
        """Make the batch of a step from positions among those that take part."""
        return self._source.batch([self._positions[i] for i in chosen], step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """Which weights of a run are the best, and what becomes of them.

    Args:
        figure: Name of the measured figure that decides.
        lowest: The lowest is the best, as of a loss.
        every: Steps between two measurements.
        max_steps: Steps of the run; the last one is measured too.
        patience: Measurements without a better one after which the run ends; 0 for never.
        restore: The run ends with its best weights instead of its last.
    """

    figure: str
    every: int
    max_steps: int
    lowest: bool = False
    patience: int = 0
    restore: bool = False


class KeepBest(lightning.Callback):
    """Measures now and then, logs the figures, and keeps the best weights in a file.

    Its state is part of every checkpoint, so that a resumed run ends as one that was never
    stopped. Where weights are averaged, the average is measured and kept.
    """

    def __init__(self, measure: Measure, settings: Best, file: Path) -> None:
        self._measure = measure
        self._settings = settings
        self._file = file
        self._best: float | None = None
        self._waited = 0
        self._stopped = False
        self.shown: dict[str, float] = {}

    @property
    def state_key(self) -> str:
        """Name the state in a checkpoint: two of these may watch one run."""
        return f"best {self._settings.figure}"

    def state_dict(self) -> dict[str, Any]:
        """Give the best figure, the measurements since, and whether the run was stopped."""
        return {"best": self._best, "waited": self._waited, "stopped": self._stopped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the state of a checkpoint."""
        self._best = state_dict["best"]
        self._waited = state_dict["waited"]
        self._stopped = state_dict["stopped"]

    def on_train_start(self, trainer: lightning.Trainer, *_rest: object) -> None:
        """Leave a run alone that was stopped before."""
        trainer.should_stop = trainer.should_stop or self._stopped

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        *_outcome: object,
    ) -> None:
        """Measure after every so many steps."""
        settings, step = self._settings, trainer.global_step
        if step % settings.every and step != settings.max_steps:
            return
        with measuring(trainer, module):
            figures = self._measure()
            found = figures[settings.figure]
            best = self._best
            if best is None or (found < best if settings.lowest else found > best):
                self._best, self._waited = found, 0
                self._keep(module.model)
            else:
                self._waited += 1
        self.shown = {settings.figure: found}
        # Not by the module: it would repeat them at each later step that is logged.
        for log in trainer.loggers:
            log.log_metrics(dict(figures), step - 1)
        self._stopped = 0 < settings.patience <= self._waited
        trainer.should_stop = trainer.should_stop or self._stopped

    def on_fit_end(self, _trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Go back to the best weights, where the run is to end with them."""
        if self._settings.restore and self._best is not None:
            module.model.load_state_dict(load_file(self._file))

    def _keep(self, model: nn.Module) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        aside = self._file.with_suffix(".partial")
        save_file({name: v.detach().contiguous() for name, v in model.state_dict().items()}, aside)
        os.replace(aside, self._file)


@contextmanager
def measuring(trainer: lightning.Trainer, module: lightning.LightningModule) -> Iterator[None]:
    """Switch dropout and gradients off and averaged weights on; restore everything at the end."""
    averages = [each for each in trainer.callbacks if isinstance(each, WeightAveraging)]
    training = [part for part in module.modules() if part.training]
    module.eval()
    for average in averages:
        average.on_validation_epoch_start(trainer, module)
    try:
        with torch.no_grad(), trainer.precision_plugin.val_step_context():
            yield
    finally:
        for average in averages:
            average.on_validation_epoch_end(trainer, module)
        for part in training:
            part.training = True
