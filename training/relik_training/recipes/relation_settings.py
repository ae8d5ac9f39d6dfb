"""What the recipe of an encoder of relations can say: which it never sees, and how to train."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from relik.errors import ConfigError
from relik.toml_settings import Natural, Positive, Rate, Share
from relik_training.recipes.recipe_files import Overrides, check_files_of_data, read_recipe
from relik_training.recipes.run_settings import RunSettings
from relik_training.recipes.source_config import SourceConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """Relations that are never trained on: drawn, or named.

    Args:
        source: Data set with one triple a text; they are drawn from its relations, and all its
            texts with one of them are for measuring.
        count: How many are drawn.
        draw: Seed of the draw: `random.Random(draw).sample(sorted(relations), count)`.
        relations: Ids, in place of a draw.
        apart: How many more are drawn, from what is left, that are kept out of training, to choose
            settings by.
    """

    source: str = ""
    count: Positive = 10
    draw: Natural = 13
    relations: tuple[str, ...] = ()
    apart: Natural = 0

    def __post_init__(self) -> None:
        if bool(self.source) == bool(self.relations):
            raise ConfigError(
                f"got source {self.source!r} and {len(self.relations)} relations, expected one of "
                "the two: draw them from a data set, or name them"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationSampling:
    """What is drawn and cut for training.

    Args:
        most: Most pairs of one relation that are taken from one data set; 0 takes all.
        other_words: Share of relations that are told by name alone, or by an alias.
        max_tokens: Tokens of a pair with its text, here and in the bundle.
        relation_tokens: Tokens of a relation, in training alone.
        seed: Seed of sampling, with the step.
    """

    most: Natural = 150
    other_words: Share = 0.3
    max_tokens: Positive = 112
    relation_tokens: Positive = 24
    seed: Natural = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationTraining(RunSettings):
    """Settings of an encoder of pairs and relations, and of the bundle made from it.

    `out` is the folder of all runs; each draw has its own in it.

    Args:
        relations: Records of relations: id, name, description, aliases.
        sources: Data sets.
        unseen: Relations that are left out.
        sampling: What is drawn and cut.
    """

    backbone: str
    relations: str
    sources: tuple[SourceConfig, ...]
    unseen: Unseen
    out: str = "runs/relations"
    sampling: RelationSampling = field(default_factory=RelationSampling)
    batch_size: Positive = 48
    max_steps: Positive = 300
    warmup_steps: Natural = 30
    learning_rate: Rate = 1e-4


def read_relation_recipe(path: Path, overrides: Overrides | None = None) -> RelationTraining:
    """Read the recipe of an encoder of relations.

    Args:
        path: TOML file.
        overrides: What the command line says against it, if anything.

    Returns:
        Settings; `out` is the folder of the run, that of the draw in the recipe's.

    Raises:
        ConfigError: The file is missing, is not TOML, or has a wrong setting.
    """
    said = overrides or Overrides()
    config = read_recipe(RelationTraining, path, said)
    unseen = replace(
        config.unseen,
        draw=config.unseen.draw if said.draw is None else said.draw,
        apart=config.unseen.apart if said.apart is None else said.apart,
    )
    name = "named" if unseen.relations else f"draw-{unseen.draw}"
    name += "-apart" if unseen.apart else ""
    return replace(config, out=str(Path(config.out) / name), unseen=unseen)


def check_relations(config: RelationTraining) -> None:
    """Look for the files of a run before any work is done.

    Args:
        config: Settings of the run.

    Raises:
        ConfigError: A data set or the records of relations are missing.
    """
    names = (config.relations, *(source.path for source in config.sources))
    check_files_of_data(Path(config.data), names)
