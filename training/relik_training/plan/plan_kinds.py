"""What a plan has to know of each kind of run: how it is read, opened and ended."""

import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from relik_training.plan.plan_fit import EndCost
from relik_training.recipes.recipe import (
    Overrides,
    ReaderTraining,
    RetrieverTraining,
    check_inputs,
    is_reader_recipe,
    read_reader_recipe,
    read_retriever_recipe,
)
from relik_training.recipes.relation_settings import (
    RelationOverrides,
    RelationTraining,
    check_relations,
    read_relation_recipe,
)
from relik_training.recipes.schema_settings import (
    SchemaOverrides,
    SchemaTraining,
    read_schema_recipe,
)
from relik_training.run.run_files import Training

if TYPE_CHECKING:
    from relik_training.run.trainer import OpenRun


class RunKind(Protocol):
    """A kind of run that may write all it writes: its folder is a scratch one."""

    @property
    def config(self) -> Training:
        """Settings, with the scratch folder for `out`."""

    def open(self) -> "OpenRun":
        """Read what a run starts from."""

    def end(self) -> EndCost:
        """Measure the end of a run whose weights are in the folder, on a sample."""


def read_training(path: Path, overrides: Overrides) -> Training:
    """Read a recipe of any kind, and look for its files.

    Args:
        path: TOML file.
        overrides: What the command line says against it.

    Returns:
        Settings; `out` is the folder of one run.

    Raises:
        ConfigError: The recipe is wrong, or a file is missing.
    """
    if _has(path, "types"):
        schema = read_schema_recipe(path, SchemaOverrides(**asdict(overrides)))
        # Each seed has a folder of its own; what the first costs, the others cost too.
        return replace(schema, out=str(Path(schema.out) / f"seed-{schema.seed}"))
    if _has(path, "unseen"):
        said = RelationOverrides(**asdict(overrides))
        relations = read_relation_recipe(path, said)
        check_relations(relations)
        return relations
    config: ReaderTraining | RetrieverTraining
    if is_reader_recipe(path):
        config = read_reader_recipe(path, overrides)
    else:
        config = read_retriever_recipe(path, overrides)
    check_inputs(config)
    return config


def kind_of(config: Training, folder: Path) -> RunKind:
    """Choose by what settings are.

    Args:
        config: Settings.
        folder: Scratch folder.

    Returns:
        How their run is opened and ended.
    """
    if isinstance(config, SchemaTraining):
        from relik_training.plan.plan_schema import SchemaKind

        return SchemaKind(config, folder)
    if isinstance(config, RelationTraining):
        from relik_training.plan.plan_relations import RelationKind

        return RelationKind(config, folder)
    if isinstance(config, ReaderTraining):
        from relik_training.plan.plan_reader import ReaderKind

        return ReaderKind(config, folder)
    from relik_training.plan.plan_retriever import RetrieverKind

    return RetrieverKind(config, folder)


def _has(path: Path, table: str) -> bool:
    try:
        return table in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # What reads the recipe says what is wrong with it.
        return False
