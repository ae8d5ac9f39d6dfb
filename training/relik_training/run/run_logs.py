"""Where the figures of each step go: JSON Lines, TensorBoard, Weights & Biases where installed."""

import importlib.util
import logging
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from torch.utils.tensorboard import SummaryWriter

from relik_training.run.run_clock import append_row
from relik_training.run.run_files import METRICS, SECONDS, SETTINGS, read_settings

EVENTS = "tensorboard"
WANDB = "wandb"
# What the service may keep a run waiting, at its begin and at its end.
_WAIT_S = 30
_LOG = logging.getLogger(__name__)


def open_logs(out: Path) -> list[Logger]:
    """Open the loggers of a run: files in its folder, and Weights & Biases where installed."""
    logs: list[Logger] = [JsonLines(out / METRICS), Events(out / EVENTS)]
    if importlib.util.find_spec("wandb") is not None:
        logs.append(WeightsAndBiases(out))
    return logs


class _Log(Logger):
    """What Lightning asks of all loggers and ours have no use for."""

    @property
    def name(self) -> str:
        """Name the log."""
        return type(self).__name__

    @property
    def version(self) -> str:
        """Tell the version of the log: there is one a run."""
        return "0"

    def log_hyperparams(self, params: Any) -> None:
        """Do nothing: the run writes the resolved recipe."""


class JsonLines(_Log):
    """Appends figures to a file of JSON Lines, one object a logged step."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._began = time.monotonic()

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Write the figures of a step."""
        seconds = round(time.monotonic() - self._began, 1)
        append_row(self._path, {"step": step, SECONDS: seconds, **metrics})


class Events(_Log):
    """Writes figures as event files of TensorBoard."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Write the figures of a step, so that a kill leaves them."""
        if self._writer is None:
            # What a killed run logged after its last checkpoint is logged again from here on.
            self._writer = SummaryWriter(str(self._folder), purge_step=step)
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def finalize(self, status: str) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class WeightsAndBiases(_Log):
    """Sends figures to Weights & Biases, or keeps them in the run's folder to be sent later.

    The library itself obeys WANDB_MODE and its other variables. Where there is no key, or the
    service does not answer, figures are kept. Nothing that goes wrong here ends a run.
    """

    def __init__(self, out: Path) -> None:
        super().__init__()
        self._out = out
        self._begun = False
        self._run: Any = None

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Send the figures of a step."""
        if not self._begun:
            self._begun, self._run = True, _wandb_run(self._out)
        if self._run is not None:
            self._do(lambda run: run.log(dict(metrics), step=step))

    def finalize(self, status: str) -> None:
        """Send what is left, for a bounded time; `status` says how the run ended."""
        if self._run is not None:
            self._do(lambda run: run.finish(exit_code=0 if status == "success" else 1))
            self._run = None
        self._begun = False

    def _do(self, act: Callable[[Any], object]) -> None:
        try:
            act(self._run)
        except Exception as error:  # noqa: BLE001  # the library's own have no class in common
            _LOG.warning("Weights & Biases is left out: %s", error)
            self._run = None


def _wandb_run(out: Path) -> Any:
    # None leaves the choice to WANDB_MODE.
    for mode in (None, "offline"):
        try:
            return _begin_wandb(out, mode)
        except Exception as error:  # noqa: BLE001  # the library's own have no class in common
            _LOG.warning("Weights & Biases does not begin: %s", error)
    return None


def _begin_wandb(out: Path, mode: str | None) -> Any:
    import wandb

    if mode is not None:
        # Its service holds on to the run that did not begin.
        wandb.teardown()
    return wandb.init(
        project="relik",
        name=out.name,
        id=_wandb_id(out),
        resume="allow",
        dir=str(out),
        config=read_settings(out) if (out / SETTINGS).is_file() else {},
        mode=mode,
        settings=wandb.Settings(
            console="off",
            disable_git=True,
            save_code=False,
            silent=True,
            init_timeout=_WAIT_S,
            finish_timeout=_WAIT_S,
            finish_timeout_raises=True,
        ),
    )


def _wandb_id(out: Path) -> str:
    """Name the run as before, so that a resumed one goes on in the same curves."""
    path = out / WANDB / "id"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(uuid.uuid4().hex[:12], encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()
