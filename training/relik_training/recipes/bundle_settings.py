"""Write the settings of a bundle."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from relik.config import PipelineConfig


def write_toml(config: PipelineConfig, path: Path) -> None:
    """Write settings as TOML.

    Args:
        config: Settings.
        path: File to replace.
    """
    path.write_text("\n".join(_lines(dataclasses.asdict(config))) + "\n", encoding="utf-8")


def _lines(table: Mapping[str, object], name: str = "") -> Iterator[str]:
    if name:
        yield from ("", f"[{name}]")
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    # Of JSON, the scalars that settings are made of are TOML as well.
    yield from (f"{key} = {json.dumps(table[key])}" for key in table if key not in inner)
    for key, value in inner.items():
        yield from _lines(value, f"{name}.{key}" if name else key)
