"""What every training run shares: the trainer, checkpoints that a killed run resumes from."""

import json
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import lightning
import torch
from lightning.pytorch.loggers import Logger
from safetensors.torch import save_file
from torch import nn

from relik.backends.tensors import TensorFile
from relik.errors import ConfigError
from relik.layout import LAYOUT
from relik_training.recipes.run_settings import RunSettings
from relik_training.run.backbone import best_precision
from relik_training.run.batches import BatchSource, StepBatches, plan_batches
from relik_training.run.best_weights import BEST_DEV, CHECKPOINTS, DEV_F1, Best, KeepBest, Measure
from relik_training.run.callbacks import LOGGED, Counting, GivingBack, ShowingProgress
from relik_training.run.checkpoints import LAST, SaveCheckpoints, Stopped
from relik_training.run.costs import EndCost
from relik_training.run.lora import merged
from relik_training.run.run_clock import DONE, tick
from relik_training.run.run_files import Training, begin, check_files
from relik_training.run.run_logs import open_logs


def fit(
    module: lightning.LightningModule,
    batches: Any,
    config: RunSettings,
    watchers: "Watchers | None" = None,
) -> None:
    """Train until the last step, from the last checkpoint where there is one.

    Args:
        module: What to train.
        batches: Iterable of batches that starts at the module's step.
        config: Folder, steps and precision of the run; checkpoints go to `out/checkpoints`.
        watchers: What looks on; the logs of every run where None.

    Raises:
        Stopped: Ctrl-C or SIGTERM came; the last step is saved.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    out, max_steps, precision = Path(config.out), config.max_steps, config.precision
    folder = out / CHECKPOINTS
    saver = SaveCheckpoints(folder, every=config.checkpoint_steps, max_steps=max_steps)
    last = folder / LAST
    watching = watchers or Watchers(loggers=open_logs(out))
    # They may change the weights that are measured.
    first = getattr(module, "watchers", ())
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
            callbacks=[*first, *watching.callbacks, GivingBack(), saver],
            logger=list(watching.loggers) or False,
            log_every_n_steps=LOGGED,
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
    if saver.signum is not None:
        raise Stopped(
            saver.signum,
            f"stopped at step {trainer.global_step} of {max_steps}, which is saved: give the same "
            "command again to go on",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchers:
    """What looks on while a run trains, and changes nothing of what is trained.

    Args:
        callbacks: Callbacks beside those that every run has.
        loggers: Where figures go.
    """

    callbacks: Sequence[lightning.Callback] = ()
    loggers: Sequence[Logger] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """A run before its data are ready for batches: what training trains and a plan measures.

    Args:
        module: What is trained; `module.model` has the weights that are written.
        examples: All that it trains on; those of one document stand together.
        ready: Makes examples ready for batches.
        about: What config.json says of the model.
        evaluation: Opens what the module is measured by while it trains; None where the recipe
            names no texts for that.
        pauses: How often making a batch stops the run for other work, first at step 0.
    """

    module: lightning.LightningModule
    examples: Sequence[Any]
    ready: Callable[[Sequence[Any]], BatchSource]
    about: dict[str, Any]
    evaluation: Callable[[], Measure | None] = lambda: None
    pauses: int = 0


class Run(Protocol):
    """What a command trains or plans: a run of the reader, retriever, schema or relations."""

    @property
    def config(self) -> Training:
        """Settings; `out` is the folder of the run."""

    def open(self) -> OpenRun:
        """Read what the run starts from."""

    def end(self) -> dict[str, object]:
        """Make the bundle of a run that has trained."""

    def aside(self, folder: Path) -> "Run":
        """Give the same run in a scratch folder."""

    def end_cost(self) -> EndCost:
        """Measure the end of a run whose weights are in its folder, on a sample."""


def train(run: Run) -> Path:
    """Train a run, from the last checkpoint where there is one, and write its weights.

    Returns:
        Folder of the run, with model.safetensors, config.json and the resolved settings.

    Raises:
        ConfigError: A file or the backbone is missing, or the folder has a run with other
            settings.
    """
    config, out = run.config, Path(run.config.out)
    check_files(config)
    begin(out, config)
    opened = run.open()
    data = opened.ready(opened.examples)
    run_steps(opened.module, data, config, open_measure(opened, config))
    write_weights(merged(opened.module.model), out, opened.about)
    tick(out, DONE)
    return out


def open_measure(run: OpenRun, config: RunSettings) -> Measure | None:
    """Open what a run is measured by while it trains, where it is.

    Raises:
        ConfigError: The run is to end with its best weights, and nothing is measured.
    """
    measure = run.evaluation() if config.evaluation.windows else None
    if measure is None and config.evaluation.best:
        raise ConfigError(
            "[evaluation]: got best = true and no texts to measure on, expected some: set share, "
            "windows, or the development texts of the recipe"
        )
    return measure


def plan_steps(data: BatchSource, config: RunSettings) -> list[list[int]]:
    """Plan the batches of a run by its seed: positions of the examples of each step."""
    return plan_batches(
        data.lengths,
        config.batch_size,
        config.max_steps,
        seed=config.seed,
        repeats=data.repeats,
    )


def run_steps(
    module: lightning.LightningModule,
    data: BatchSource,
    config: RunSettings,
    measure: Measure | None = None,
) -> None:
    """Train on batches that are planned by the seed; keep the weights that measure best."""
    plan = plan_steps(data, config)
    out = Path(config.out)
    watching: list[lightning.Callback] = [
        Counting(out, config.batch_size),
        ShowingProgress(config.max_steps, config.batch_size),
    ]
    if measure is not None:
        best = Best(
            figure=DEV_F1,
            every=config.evaluation.every(config.max_steps),
            max_steps=config.max_steps,
            restore=config.evaluation.best,
        )
        watching.append(KeepBest(measure, best, out / CHECKPOINTS / BEST_DEV))
    fit(
        module,
        StepBatches(
            lambda step: data.batch(plan[step], step),
            config.max_steps,
            lambda: module.global_step,
        ),
        config,
        Watchers(callbacks=watching, loggers=open_logs(out)),
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


def load_weights(model: nn.Module, folder: Path, *, without: tuple[str, ...] = ()) -> None:
    """Put the weights of a finished run, or of a model of a bundle, into one of the same shape.

    Args:
        model: Gets them.
        folder: Folder of the run or the model.
        without: Endings of the names that a bundle leaves out, looked up outside the model.

    Raises:
        BundleError: There are none.
        ConfigError: They are of another model.
    """
    path = folder / LAYOUT.weights
    held = {name: torch.from_numpy(each) for name, each in TensorFile.open(path).weights().items()}
    try:
        missing, unknown = model.load_state_dict(held, strict=False)
    except RuntimeError as error:
        raise ConfigError(
            f"{path}: has weights of other shapes ({str(error).splitlines()[-1].strip()}), "
            "expected those of the same backbone, heads and markers: change start or these"
        ) from error
    lacking = [*(name for name in missing if not name.endswith(without)), *unknown]
    if lacking:
        raise ConfigError(
            f"{path}: does not fit the backbone, {lacking[0]} is in one of them only: give a run, "
            "or a model of a bundle, with the same backbone"
        )
