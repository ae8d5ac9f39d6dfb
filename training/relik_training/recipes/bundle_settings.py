"""Write the settings of a bundle."""

import dataclasses
from pathlib import Path

from relik.config import PipelineConfig, changed
from relik_training.recipes.run_settings import RunSettings
from relik_training.run.run_files import toml_text


def write_changed(config: PipelineConfig, recipe: RunSettings, path: Path) -> PipelineConfig:
    """Write settings with the changes of a recipe as `pipeline.toml`, and return them."""
    made = changed(config, recipe.pipeline, where="[pipeline]")
    write_toml(made, path)
    return made


def write_toml(config: PipelineConfig, path: Path) -> None:
    """Write settings as `pipeline.toml`, in the place of what is there."""
    path.write_text(toml_text(dataclasses.asdict(config)), encoding="utf-8")
