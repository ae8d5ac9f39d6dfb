"""What every training run shares: the trainer, checkpoints that a killed run resumes from."""

import json
import logging
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors.torch import save_file
from torch import nn

from relik_training.backbone import best_precision
from relik_training.batches import StepBatches, plan_batches
from relik_training.progress import progress_bar
from relik_training.run_files import METRICS, SECONDS


def fit(
    module: lightning.LightningModule,
    batches: Any,
    *,
    out: Path,
    max_steps: int,
    checkpoint_steps: int,
    precision: str,
) -> None:
    """Train until the last step, from the last checkpoint where there is one.

    Args:
        module: What to train.
        batches: Iterable of batches that starts at the module's step.
        out: Folder of the run; checkpoints go to `out/checkpoints`.
        max_steps: Steps of the whole run.
        checkpoint_steps: Steps between checkpoints.
        precision: Lightning precision, or "auto".
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    folder = out / "checkpoints"
    saver = ModelCheckpoint(
        dirpath=folder,
        filename="step",
        save_last=True,
        save_top_k=0,
        every_n_train_steps=checkpoint_steps,
        enable_version_counter=False,
    )
    last = folder / "last.ckpt"
    torch.set_num_threads(min(torch.get_num_threads(), os.cpu_count() or 1))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        trainer = lightning.Trainer(
            max_steps=max_steps,
            max_epochs=1,
            accelerator="auto",
            devices=1,
            precision=best_precision() if precision == "auto" else precision,
            gradient_clip_val=1.0,
            callbacks=[saver, _Bar(max_steps)],
            logger=_JsonLines(out / METRICS),
            log_every_n_steps=10,
            enable_model_summary=False,
            enable_progress_bar=False,
            default_root_dir=str(out),
        )
        # Vanishing gradients become denormal numbers, with which CPUs compute many times slower.
        torch.set_flush_denormal(True)
        try:
            trainer.fit(module, batches, ckpt_path=str(last) if last.is_file() else None)
        finally:
            torch.set_flush_denormal(False)


class RunSettings(Protocol):
    """What the recipes of all runs say of their steps."""

    @property
    def out(self) -> str:
        """Folder of the run."""

    @property
    def batch_size(self) -> int:
        """Examples per step."""

    @property
    def max_steps(self) -> int:
        """Steps of the whole run."""

    @property
    def checkpoint_steps(self) -> int:
        """Steps between checkpoints."""

    @property
    def precision(self) -> str:
        """Lightning precision, or "auto"."""

    @property
    def seed(self) -> int:
        """Seed of the order of the examples."""


class BatchSource(Protocol):
    """Examples that batches are made of."""

    @property
    def lengths(self) -> list[int]:
        """Cost of each example, any unit."""

    @property
    def repeats(self) -> list[int]:
        """How often each example comes in an epoch."""

    def batch(self, chosen: Sequence[int], step: int) -> Any:
        """Make the batch of a step from the examples at these positions."""


def run_steps(module: lightning.LightningModule, data: BatchSource, config: RunSettings) -> None:
    """Train on batches that are planned by the seed.

    Args:
        module: What to train.
        data: Its examples.
        config: Settings of the run.
    """
    plan = plan_batches(
        data.lengths,
        config.batch_size,
        config.max_steps,
        seed=config.seed,
        repeats=data.repeats,
    )
    fit(
        module,
        StepBatches(
            lambda step: data.batch(plan[step], step),
            config.max_steps,
            lambda: module.global_step,
        ),
        out=Path(config.out),
        max_steps=config.max_steps,
        checkpoint_steps=config.checkpoint_steps,
        precision=config.precision,
    )


def write_weights(model: nn.Module, out: Path, config: dict[str, Any]) -> None:
    """Write trained weights with what is needed to open them again.

    Args:
        model: Trained model; its backbone has no word embeddings of its own.
        out: Folder for model.safetensors and config.json.
        config: What config.json says.
    """
    weights = {k: v.detach().contiguous().float().cpu() for k, v in model.state_dict().items()}
    save_file(weights, out / "model.safetensors")
    (out / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


class _Bar(lightning.Callback):
    """Shows steps and loss on standard error, so that standard output is left to the answer."""

    def __init__(self, max_steps: int) -> None:
        self._max_steps = max_steps
        self._progress = progress_bar()

    def on_train_start(
        self, trainer: lightning.Trainer, _module: lightning.LightningModule
    ) -> None:
        self._task = self._progress.add_task(
            "steps", total=self._max_steps, completed=trainer.global_step
        )
        self._progress.start()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        _module: lightning.LightningModule,
        *_outcome: object,
    ) -> None:
        shown = [f"{name} {value:.3f}" for name, value in trainer.progress_bar_metrics.items()]
        self._progress.update(
            self._task, completed=trainer.global_step, description=" ".join(["steps", *shown])
        )

    def teardown(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, stage: str
    ) -> None:
        self._progress.stop()


class _JsonLines(lightning.pytorch.loggers.Logger):
    """Writes metrics as JSON Lines, one object a logged step."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._began = time.monotonic()

    @property
    def name(self) -> str:
        return "metrics"

    @property
    def version(self) -> str:
        return "0"

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row = {"step": step, SECONDS: round(time.monotonic() - self._began, 1), **metrics}
        with self._path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")

    def log_hyperparams(self, params: Any) -> None:
        """Do nothing: the resolved config is written by the run."""
