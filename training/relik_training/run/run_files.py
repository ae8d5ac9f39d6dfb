"""What a run writes of itself: its settings and its figures. Needs no torch."""

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from relik.errors import ConfigError
from relik_training.recipes.recipe import ReaderTraining, RetrieverTraining, check_inputs
from relik_training.recipes.relation_settings import RelationTraining, check_relations
from relik_training.recipes.schema_settings import SchemaTraining
from relik_training.run.run_clock import PREPARE, TRAIN, read_rows, spent, tick

_BARE = re.compile(r"[A-Za-z0-9_-]+")

Training: TypeAlias = RetrieverTraining | ReaderTraining | SchemaTraining | RelationTraining
"""Settings of a run."""

SETTINGS = "resolved.json"
RESOLVED = "resolved.toml"
METRICS = "metrics.jsonl"
SECONDS = "seconds"
BASE, BUNDLE_FOLDER = "base", "bundle"
"""Folders of a run: the part of its bundle that is not trained, and the bundle."""
# Paths of one machine are no part of how a model was made.
_PLACES = ("data", "out", "base")
# These do not change what is trained.
_AFTER = (
    "calibration",
    "checkpoint_steps",
    "fusion",
    "index",
    "knowledge",
    "model",
    "pipeline",
    "prototype_weight",
    "provenance",
)


def toml_text(values: Mapping[str, object]) -> str:
    """Write a table as TOML, without what is None: TOML has no word for it.

    Args:
        values: Strings, numbers, truth values, lists of these, tables, and lists of tables.

    Raises:
        TypeError: There is something else.
    """
    return "\n".join(_table(values, ())).lstrip("\n") + "\n"


def _table(values: Mapping[str, object], path: tuple[str, ...]) -> Iterator[str]:
    """Write the plain values first: what follows a heading belongs to it."""
    later: list[tuple[str, object]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) or _has_tables(value):
            later.append((name, value))
        elif value is not None:
            yield f"{_key(name)} = {_value(value)}"
    for name, value in later:
        inner = (*path, name)
        heading = ".".join(_key(part) for part in inner)
        tables = [value] if isinstance(value, Mapping) else value
        marks = "[{}]" if isinstance(value, Mapping) else "[[{}]]"
        for table in tables:  # type: ignore[attr-defined]  # told from other values above
            yield ""
            yield marks.format(heading)
            yield from _table(table, inner)


def _has_tables(value: object) -> bool:
    rows = value if isinstance(value, list | tuple) else ()
    return bool(rows) and all(isinstance(each, Mapping) for each in rows)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    raise TypeError(f"got {type(value).__name__}, expected what TOML can hold")


def _string(text: str) -> str:
    # JSON escapes as TOML does, except for one control character that it lets stand.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def check_files(config: Training) -> None:
    """Look for the files of a run before any work is done.

    Those of a closed schema are looked for when its splits are written.

    Raises:
        ConfigError: A file is missing.
    """
    if isinstance(config, RelationTraining):
        check_relations(config)
    elif not isinstance(config, SchemaTraining):
        check_inputs(config)


def begin(out: Path, config: Training) -> None:
    """Record the settings of a run that begins or goes on.

    Raises:
        ConfigError: The folder has a run with other settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    if (out / SETTINGS).is_file() and any((out / "checkpoints").glob("*.ckpt")):
        check_same(out, config)
    tick(out, PREPARE)
    settings = dataclasses.asdict(config)
    (out / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    # The same as a recipe, that can be given again.
    (out / RESOLVED).write_text(toml_text(settings), encoding="utf-8")


def check_same(out: Path, config: Training) -> None:
    """Refuse settings other than those that a run was made with.

    Raises:
        ConfigError: There is no run, or it was made with other settings.
    """
    held, asked = read_settings(out), _plain(config)
    for name in asked:
        if name in (*_PLACES, *_AFTER) or name not in held:
            continue
        if not _same(held[name], asked[name]):
            raise ConfigError(
                f"{out}: holds a run with {name} = {_short(held[name])}, got "
                f"{_short(asked[name])}: use the recipe of that run, or another --out"
            )


def _same(held: object, asked: object) -> bool:
    """Compare settings; one that did not exist when the run was made has not changed it."""
    if isinstance(held, dict) and isinstance(asked, dict):
        return held.keys() <= asked.keys() and all(_same(held[k], asked[k]) for k in held)
    if isinstance(held, list) and isinstance(asked, list) and len(held) == len(asked):
        return all(map(_same, held, asked))
    return held == asked


def read_settings(out: Path) -> dict[str, Any]:
    """Read the settings that a run was made with, as JSON values.

    Raises:
        ConfigError: There is no run.
    """
    path = out / SETTINGS
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}): give the folder of a run") from error


def settings_key(config: Training) -> str:
    """Give a hexadecimal digest of settings, but for the paths of one machine."""
    plain = {name: value for name, value in _plain(config).items() if name not in _PLACES}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def recorded(config: Training) -> dict[str, object]:
    """Give the settings of a run for a manifest, without the paths of one machine."""
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

    Returns:
        Steps, the seconds of training in all its parts (None where it did not keep them), and
        the losses and measurements of the last step that was logged.
    """
    rows = read_rows(out / METRICS)
    cost = spent(out)
    seconds = _logged_seconds(rows) if cost is None else cost.seconds.get(TRAIN, 0.0)
    final: dict[str, float] = {}
    for row in rows:
        # Losses and measurements of a step are logged one by one.
        final = {**final, **row} if row.get("step") == final.get("step") else row
    return {
        "steps": read_settings(out).get("max_steps"),
        "seconds": round(seconds, 1) if seconds else None,
        "final": {
            name: round(value, 4)
            for name, value in final.items()
            if name not in ("step", "epoch", SECONDS)
        },
    }


def begin_bundle(config: Training, part: str) -> tuple[Path, dict[str, object]]:
    """Copy the base of a finished run to the draft of its bundle.

    Args:
        config: Settings of the run.
        part: What the run trains, as the manifest calls it.

    Returns:
        The draft, and what its manifest says.

    Raises:
        ConfigError: The run is not finished, or was made with other settings.
    """
    run = Path(config.out)
    check_same(run, config)
    draft = run / f".{BUNDLE_FOLDER}.part"
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(run / BASE, draft)
    return draft, {
        "model": config.model,
        "sources": [dataclasses.asdict(each) for each in config.provenance],
        "licences": sorted({each.licence for each in config.provenance}),
        "recipe": {part: recorded(config)},
        "training": {part: read_figures(run)},
        "metrics": {},
    }


def _logged_seconds(rows: Sequence[Mapping[str, Any]]) -> float:
    """Add up the seconds of a run that was made before runs kept a clock."""
    seconds, last = 0.0, 0.0
    for row in rows:
        now = float(row.get(SECONDS, 0.0))
        # The clock of a resumed run begins anew.
        seconds += now - last if now >= last else now
        last = now
    return seconds


def _plain(config: Training) -> dict[str, Any]:
    return dict(json.loads(json.dumps(dataclasses.asdict(config))))


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
