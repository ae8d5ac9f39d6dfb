"""Write the settings of a bundle."""

import dataclasses
import json
from pathlib import Path

from relik.config import PipelineConfig


def write_toml(config: PipelineConfig, path: Path) -> None:
    """Write settings as TOML.

    Args:
        config: Settings.
        path: File to replace.
    """
    # Of JSON, the scalars that settings are made of are TOML as well.
    lines = [f"model = {json.dumps(config.model)}"]
    for name, table in dataclasses.asdict(config).items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]"]
            lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
