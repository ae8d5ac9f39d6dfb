"""Recipes as files: translated where they are old, with settings of the command line in place."""

import dataclasses
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from relik.config import PipelineConfig
from relik.errors import ConfigError
from relik.toml_settings import Keys, TomlFile, open_toml
from relik_training.recipes.run_settings import RunSettings

R = TypeVar("R", bound=RunSettings)

# Until 0.11 a recipe had settings of the bundle under names of its own, most of them in [serving].
_SERVING = {
    "windows": (),
    "retriever": ("entity_top_k", "relation_top_k"),
    "reader": ("least_candidate", "look_again", "max_spans", "relations_per_pair"),
    "rules": (
        "prior_weight",
        "nil_weight",
        "unnamed_nil_weight",
        "term_weight",
        "unnamed_weight",
        "whole_names",
        "skip_initials",
        "skip_titles",
        "places_apart",
        "join_overlaps",
        "apart_weight",
        "adjective_scope",
        "functional",
        "inverse_functional",
    ),
}
_OTHERS: dict[Keys, Keys] = {
    ("calibration", "span_threshold"): ("reader", "threshold"),
    ("calibration", "triple_threshold"): ("reader", "relation_threshold"),
    ("fusion", "rivals"): ("retriever", "fusion", "rival_weight"),
    ("fusion", "leaders"): ("retriever", "fusion", "leader_weight"),
}
_RENAMED: dict[Keys, Keys] = {
    ("serving", "windows"): ("pipeline", "windows"),
    **{
        ("serving", name): ("pipeline", table, name)
        for table, names in _SERVING.items()
        for name in names
    },
    **{old: ("pipeline", *new) for old, new in _OTHERS.items()},
}
# A threshold of 0 asked for the one of the best F1.
_FITTED_AT_ZERO = ("span_threshold", "triple_threshold")
_WRITTEN = ("model", "calibration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the command line says against the recipe; None leaves a setting as it is.

    Args:
        data: Folder of the data sets.
        out: Folder of the run, or of the runs.
        backbone: Of a closed schema: pretrained weights; `start`, which is of another backbone, is
            left out then.
        seed: Of a closed schema: seed of everything.
        draw: Of relations: seed of the draw of unseen ones.
        apart: Of relations: how many more are kept out.
        settings: Other values of settings, as of `open_recipe`.
    """

    data: str | None = None
    out: str | None = None
    backbone: str | None = None
    seed: int | None = None
    draw: int | None = None
    apart: int | None = None
    settings: tuple[str, ...] = ()


def open_recipe(path: Path, settings: Sequence[str] = ()) -> TomlFile:
    """Open a recipe, also one of before 0.12.

    Args:
        path: TOML file.
        settings: Values in place of the recipe's, as "name=value" or "table.name=value" with a
            value of TOML; what is no such value is taken for a string.

    Raises:
        ConfigError: The file is missing or is not TOML, or a value cannot be set.
    """
    file = open_toml(path)
    _translate(file)
    for setting in settings:
        _set(file, setting)
    return file


def read_recipe(kind: type[R], path: Path, overrides: Overrides | None = None) -> R:
    """Read a recipe.

    Args:
        kind: The dataclass of its settings.
        path: TOML file.
        overrides: Data, out and settings in place of the recipe's; the others are left alone.

    Raises:
        ConfigError: The file is missing, is not TOML, or lacks settings or has wrong ones: all of
            them are named.
    """
    said = overrides or Overrides()
    file = open_recipe(path, said.settings)
    config = file.read(kind)
    for name in _WRITTEN:
        if name in config.pipeline:
            raise ConfigError(
                f"{file.place(('pipeline', name))}: got pipeline.{name}, which the run writes, "
                "expected other settings of the bundle: take it out"
            )
    return replace(config, data=said.data or config.data, out=said.out or config.out)


def check_files_of_data(data: Path, names: Iterable[str]) -> None:
    """Look for files of the data folder.

    Raises:
        ConfigError: One is missing.
    """
    for name in names:
        if not (data / name).is_file():
            raise ConfigError(
                f"{data / name}: is missing, expected a file: give the folder of the data sets by "
                "--data"
            )


def _translate(file: TomlFile) -> None:
    """Put the settings of the bundle into the tables of `pipeline.toml`."""
    serving = file.values.get("serving")
    for name in _FITTED_AT_ZERO:
        held = file.values.get("calibration")
        if isinstance(held, dict) and held.get(name) == 0:
            del held[name]
    for old, new in _RENAMED.items():
        file.move(old, new)
    if isinstance(serving, dict):
        # What is left has no such name, and is refused with the nearest one.
        for name in list(serving):
            file.move(("serving", name), ("pipeline", "rules", name))
        del file.values["serving"]
        _fill(file)


def _fill(file: TomlFile) -> None:
    """Add what [serving] left out, which meant the defaults and not what the base has."""
    defaults = dataclasses.asdict(PipelineConfig())
    for name, settings in _SERVING.items():
        table = file.table(("pipeline", name))
        for setting in settings or defaults[name]:
            table.setdefault(setting, defaults[name][setting])


def _set(file: TomlFile, setting: str) -> None:
    name, equals, text = setting.partition("=")
    keys: Keys = tuple(name.strip().split("."))
    if not equals or not keys[-1]:
        raise ConfigError(f"got --set {setting!r}, expected name=value or table.name=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    if keys[-1] in _FITTED_AT_ZERO and value == 0 and keys in _RENAMED:
        new = _RENAMED[keys]
        file.table(new[:-1]).pop(new[-1], None)
        return
    for end in range(len(keys), 0, -1):
        if keys[:end] in _RENAMED:
            keys = (*_RENAMED[keys[:end]], *keys[end:])
            break
    file.set(keys, value, f"--set {setting!r}")
