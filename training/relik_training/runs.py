"""Which run a recipe is of. Needs no torch until the run itself is wanted."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from relik_training.recipes.recipe import (
    ReaderTraining,
    is_reader_recipe,
    read_reader_recipe,
    read_retriever_recipe,
)
from relik_training.recipes.recipe_files import Overrides
from relik_training.recipes.relation_settings import RelationTraining, read_relation_recipe
from relik_training.recipes.schema_settings import SchemaTraining, read_schema_recipe
from relik_training.run.run_files import Training

if TYPE_CHECKING:
    from relik_training.run.trainer import Run


def read_training(path: Path, overrides: Overrides) -> Training:
    """Read a recipe of any kind; `out` becomes the folder of one run.

    Raises:
        ConfigError: The recipe is wrong.
    """
    if _has(path, "types"):
        schema = read_schema_recipe(path, overrides)
        # Each seed has a folder of its own; the others cost as much as the first.
        return replace(schema, out=str(Path(schema.out) / f"seed-{schema.seed}"))
    if _has(path, "unseen"):
        return read_relation_recipe(path, overrides)
    if is_reader_recipe(path):
        return read_reader_recipe(path, overrides)
    return read_retriever_recipe(path, overrides)


def run_of(config: Training) -> "Run":
    """Give the run of some settings, to be planned."""
    if isinstance(config, SchemaTraining):
        from relik_training.schema.schema_run import SchemaRun

        return SchemaRun(config=config)
    if isinstance(config, RelationTraining):
        from relik_training.relations.relation_run import RelationRun

        return RelationRun(config=config)
    if isinstance(config, ReaderTraining):
        from relik_training.reader.reader_run import ReaderRun

        return ReaderRun(config=config)
    from relik_training.retriever.retriever_run import RetrieverRun

    return RetrieverRun(config=config)


def _has(path: Path, table: str) -> bool:
    try:
        return table in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # The reading of the recipe reports it.
        return False
