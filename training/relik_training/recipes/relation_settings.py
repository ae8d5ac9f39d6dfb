"""What the recipe of an encoder of relations can say: which it never sees, and how to train."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from relik.config import WindowConfig, from_mapping
from relik.errors import ConfigError
from relik_training.recipes.evaluation_settings import Evaluation
from relik_training.recipes.recipe import Tables
from relik_training.recipes.recipe_files import read_recipe
from relik_training.recipes.source_config import SourceConfig

_NEEDED = ("backbone", "data", "relations", "sources", "unseen")


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
    count: int = 10
    draw: int = 13
    relations: tuple[str, ...] = ()
    apart: int = 0


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

    most: int = 150
    other_words: float = 0.3
    max_tokens: int = 112
    relation_tokens: int = 24
    seed: int = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationTraining:
    """Settings of an encoder of pairs and relations, and of the bundle made from it.

    Args:
        backbone: Pretrained weights; see `relik_training.run.backbone.resolve`.
        data: Folder of the data sets.
        relations: Records of relations: id, name, description, aliases.
        sources: Data sets, tables as `SourceConfig`.
        unseen: Relations that are left out.
        out: Folder of all runs; each draw has its own in it.
        model: Name of the model, given back in every answer.
        windows: How texts are split.
        sampling: What is drawn and cut.
        batch_size: Pairs per step.
        max_steps: Steps.
        warmup_steps: Steps of warm-up.
        learning_rate: Peak learning rate.
        hidden_dropout: Dropout of the backbone's hidden states, 0..1.
        checkpoint_steps: Steps between checkpoints.
        precision: Lightning precision or "auto".
        seed: Seed of everything but the draw.
        provenance: What it is made from, tables as `relik_training.recipes.recipe.Provenance`.
    """

    backbone: str
    data: str
    relations: str
    sources: Tables
    unseen: Unseen = field(default_factory=Unseen)
    out: str = "runs/relations"
    model: str = "unnamed"
    windows: WindowConfig = field(default_factory=WindowConfig)
    sampling: RelationSampling = field(default_factory=RelationSampling)
    batch_size: int = 48
    max_steps: int = 300
    warmup_steps: int = 30
    learning_rate: float = 1e-4
    hidden_dropout: float = 0.1
    evaluation: Evaluation = field(default_factory=Evaluation)
    checkpoint_steps: int = 50
    precision: str = "auto"
    seed: int = 13
    provenance: Tables = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationOverrides:
    """What the command line says against the recipe; None leaves a setting as it is.

    Args:
        data: Folder of the data sets.
        out: Folder of the runs.
        draw: Seed of the draw of unseen relations.
        apart: How many relations more are kept out.
        settings: Other values of settings, as of `recipe_files.read_table`.
    """

    data: str | None = None
    out: str | None = None
    draw: int | None = None
    apart: int | None = None
    settings: tuple[str, ...] = ()


def read_relation_recipe(
    path: Path, overrides: RelationOverrides | None = None
) -> RelationTraining:
    """Read the recipe of an encoder of relations.

    Args:
        path: TOML file.
        overrides: What the command line says against it, if anything.

    Returns:
        Settings; `out` is the folder of the run, that of the draw in the recipe's.

    Raises:
        ConfigError: The file is missing, is not TOML, or has a wrong setting.
    """
    said = overrides or RelationOverrides()
    config = read_recipe(RelationTraining, path, needs=_NEEDED, settings=said.settings)
    for number, source in enumerate(config.sources):
        from_mapping(SourceConfig, source, where=f"{path} [[sources]] {number}")
    unseen = replace(
        config.unseen,
        draw=config.unseen.draw if said.draw is None else said.draw,
        apart=config.unseen.apart if said.apart is None else said.apart,
    )
    if bool(unseen.source) == bool(unseen.relations):
        raise ConfigError(
            f"{path}: got [unseen] with source {unseen.source!r} and {len(unseen.relations)} "
            "relations, expected one of the two: draw them from a data set, or name them"
        )
    name = "named" if unseen.relations else f"draw-{unseen.draw}"
    name += "-apart" if unseen.apart else ""
    return replace(
        config,
        data=said.data or config.data,
        out=str(Path(said.out or config.out) / name),
        unseen=unseen,
    )


def check_relations(config: RelationTraining) -> None:
    """Look for the files of a run before any work is done.

    Args:
        config: Settings of the run.

    Raises:
        ConfigError: A data set or the records of relations are missing.
    """
    data = Path(config.data)
    sources = [from_mapping(SourceConfig, each, where="[[sources]]") for each in config.sources]
    for file in (config.relations, *(source.path for source in sources)):
        if not (data / file).is_file():
            raise ConfigError(
                f"{data / file}: is missing, expected a file: give the folder of the data sets by "
                "--data"
            )
