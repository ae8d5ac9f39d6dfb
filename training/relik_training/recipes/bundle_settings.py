"""Write the settings of a bundle."""

import dataclasses
from pathlib import Path

from relik.config import PipelineConfig
from relik_training.run.run_files import toml_text


def write_toml(config: PipelineConfig, path: Path) -> None:
    """Write settings as `pipeline.toml`, in the place of what is there."""
    path.write_text(toml_text(dataclasses.asdict(config)), encoding="utf-8")
