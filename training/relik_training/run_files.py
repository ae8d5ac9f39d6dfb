"""What a run writes of itself: its settings and its figures. Needs no torch."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from relik.errors import ConfigError
from relik_training.files import read_jsonl
from relik_training.recipes import ReaderTraining, RetrieverTraining

SETTINGS = "resolved.json"
METRICS = "metrics.jsonl"
SECONDS = "seconds"
# Where things lie on one machine is no part of how a model was made.
_PLACES = ("data", "out", "base")
# These do not change what is trained.
_AFTER = ("calibration", "checkpoint_steps", "fusion", "index", "knowledge", "model", "provenance")


def begin(out: Path, config: RetrieverTraining | ReaderTraining) -> None:
    """Record the settings of a run that begins or goes on.

    Args:
        out: Folder of the run.
        config: Settings.

    Raises:
        ConfigError: The folder has a run with other settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    if (out / SETTINGS).is_file() and any((out / "checkpoints").glob("*.ckpt")):
        check_same(out, config)
    (out / SETTINGS).write_text(
        json.dumps(dataclasses.asdict(config), indent=1) + "\n", encoding="utf-8"
    )


def check_same(out: Path, config: RetrieverTraining | ReaderTraining) -> None:
    """Refuse settings other than those that a run was made with.

    Args:
        out: Folder of the run.
        config: Settings.

    Raises:
        ConfigError: There is no run, or it was made with other settings.
    """
    held, asked = read_settings(out), _plain(config)
    for name in asked:
        if name in (*_PLACES, *_AFTER) or name not in held:
            continue
        if held[name] != asked[name]:
            raise ConfigError(
                f"{out}: holds a run with {name} = {_short(held[name])}, got "
                f"{_short(asked[name])}: use the recipe of that run, or another --out"
            )


def read_settings(out: Path) -> dict[str, Any]:
    """Read the settings that a run was made with.

    Args:
        out: Folder of the run.

    Returns:
        Settings as JSON has them.

    Raises:
        ConfigError: There is no run.
    """
    path = out / SETTINGS
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}): give the folder of a run") from error


def recorded(config: RetrieverTraining | ReaderTraining) -> dict[str, object]:
    """Give the settings of a run for a manifest.

    Args:
        config: Settings.

    Returns:
        JSON values, without the places of one machine.
    """
    plain = _plain(config)
    for name in (*_PLACES, "provenance"):
        plain.pop(name, None)
    knowledge = plain.get("knowledge")
    if isinstance(knowledge, dict):
        knowledge.pop("out", None)
    else:
        plain.pop("knowledge", None)
    return plain


def read_figures(out: Path) -> dict[str, object]:
    """Give the figures of a run for a manifest.

    Args:
        out: Folder of the run.

    Returns:
        Steps, the seconds of all its parts (None where it did not keep them), and the losses
        of the last step that was logged.
    """
    path = out / METRICS
    rows = list(read_jsonl(path)) if path.is_file() else []
    seconds, last = 0.0, 0.0
    for row in rows:
        now = float(row.get(SECONDS, 0.0))
        # The clock of a resumed run begins anew.
        seconds += now - last if now >= last else now
        last = now
    final: Mapping[str, float] = rows[-1] if rows else {}
    return {
        "steps": read_settings(out).get("max_steps"),
        "seconds": round(seconds, 1) if seconds else None,
        "final": {
            name: round(value, 4)
            for name, value in final.items()
            if name not in ("step", "epoch", SECONDS)
        },
    }


def _plain(config: RetrieverTraining | ReaderTraining) -> dict[str, Any]:
    return dict(json.loads(json.dumps(dataclasses.asdict(config))))


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
