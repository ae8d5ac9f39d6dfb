"""What the recipe of a closed schema can say: its types and relations, texts, and how to train."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from relik.config import WindowConfig, from_mapping
from relik.errors import ConfigError
from relik_training.distill.distill_settings import ReaderDistillation
from relik_training.recipes.evaluation_settings import Evaluation
from relik_training.recipes.recipe import Tables
from relik_training.recipes.recipe_files import read_recipe
from relik_training.run.lora import LoraSettings

_NEEDED = ("backbone", "data", "types", "relations", "train", "dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaRecord:
    """A type of mentions, or a relation, as the reader sees it.

    Args:
        id: What the data sets call it.
        name: What it is in words.
        description: More words, where the name does not say enough.
    """

    id: str
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaSource:
    """A file of annotated texts, or some folds of one.

    Args:
        path: File, relative to the data folder.
        folds: Values of `fold` whose texts are taken; empty takes all.
        sentences: Each sentence, or line, is a text of its own; words have white space between.
        max_words: Texts of more words are left out, such as tables; 0 keeps all.
        complete: Whether all mentions are annotated; else other words may be mentions or not.
        relations: Whether relations are annotated.
        argument_types: Relation in the file -> types of its subject and object there, for a file
            that names no types. Mentions without a type are left out.
        type_names: Type in the file -> type of the recipe. Mentions of other types are left out;
            empty leaves all as they are.
        relation_names: Relation in the file, or the type of its subject there, a space and the
            relation -> relation of the recipe; a leading "-" swaps its arguments. Others are left
            out; empty leaves all as they are.
    """

    path: str
    folds: tuple[int, ...] = ()
    sentences: bool = False
    max_words: int = 0
    complete: bool = True
    relations: bool = True
    argument_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    type_names: Mapping[str, str] = field(default_factory=dict)
    relation_names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaTraining:
    """Settings of the reader of a closed schema, and of the bundle made from it.

    Args:
        backbone: Pretrained weights; see `relik_training.run.backbone.resolve`.
        data: Folder of the data sets.
        types: Types of mentions, tables as `SchemaRecord`.
        relations: Relations, tables as `SchemaRecord`.
        train: Texts to train on, tables as `SchemaSource`.
        dev: Texts that thresholds are chosen on, likewise.
        test: Texts to measure on, likewise; none where empty.
        start: Folder of a finished reader run, or of a bundle, or "default", whose reader this
            run begins with; empty begins with the backbone.
        out: Folder of all runs; each seed has its own in it.
        model: Name of the model, given back in every answer.
        windows: How long texts are split; a text to train on is one window.
        max_tokens: Most tokens of a row; half of it are room for the text.
        case_noise: Share of windows read as all capitals, and again as all lower case.
        linears_hidden_size: Width inside the heads.
        between: Relations read the words between two mentions too.
        batch_size: Windows per step.
        max_steps: Steps.
        warmup_steps: Steps of warm-up.
        learning_rate: Peak rate of the top layer.
        head_learning_rate: Peak rate of heads and markers.
        layer_decay: Factor of the rate from each layer to the one below.
        last_rate: Share of the peak rates at the end, 0..1; above 0 `average` has more to average.
        hidden_dropout: Dropout of the backbone's hidden states, 0..1.
        pretokenised: Texts come in words with white space between, and mentions consist of them:
            so are they read, and measured on `dev` and `test`.
        swaps: Copies of each text in which other mentions of the same types stand.
        wrong_spans: Spans drawn for each window that are no mentions, to be refused.
        wrong_pairs: What pairs of one of these and a mention count for, beside pairs of mentions.
        average: Ends with a moving average of the weights, of which a step leaves this share;
            0 for the weights of the last step.
        start_weight: What the loss of starts counts for beside the others.
        half_f1: Thresholds are half of the best F1 on `dev`, in place of the peak of its curve.
        distillation: Learns from a larger reader of the same schema too, a run or a bundle.
        lora: Adapters in the place of whole layers, for a large backbone.
        frozen_layers: Lowest layers that stay as they start, of use behind `start`.
        with_dev: Train on `dev` too, with the thresholds of a run without it, of the first seed.
        checkpoint_steps: Steps between checkpoints.
        precision: Lightning precision or "auto".
        seed: Seed of everything.
        provenance: What it is made from, tables as `relik_training.recipes.recipe.Provenance`.
    """

    backbone: str
    data: str
    types: Tables
    relations: Tables
    train: Tables
    dev: Tables
    test: Tables = ()
    start: str = ""
    out: str = "runs/schema"
    model: str = "unnamed"
    windows: WindowConfig = field(default_factory=lambda: WindowConfig(size=128, stride=96))
    max_tokens: int = 512
    case_noise: float = 0.0
    linears_hidden_size: int = 256
    between: bool = False
    batch_size: int = 8
    max_steps: int = 1500
    warmup_steps: int = 150
    learning_rate: float = 2e-4
    head_learning_rate: float = 5e-4
    layer_decay: float = 0.9
    last_rate: float = 0.0
    hidden_dropout: float = 0.1
    pretokenised: bool = False
    swaps: int = 0
    wrong_spans: int = 0
    wrong_pairs: float = 0.0
    average: float = 0.0
    start_weight: float = 1.0
    half_f1: bool = False
    distillation: ReaderDistillation = field(default_factory=ReaderDistillation)
    lora: LoraSettings = field(default_factory=LoraSettings)
    frozen_layers: int = 0
    with_dev: bool = False
    evaluation: Evaluation = field(default_factory=Evaluation)
    checkpoint_steps: int = 500
    precision: str = "auto"
    seed: int = 13
    provenance: Tables = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaOverrides:
    """What the command line says against the recipe; None leaves a setting as it is.

    Args:
        data: Folder of the data sets.
        out: Folder of the runs.
        backbone: Pretrained weights; `start`, which is of another backbone, is left out then.
        seed: Seed of everything.
        settings: Other values of settings, as of `recipe_files.read_table`.
    """

    data: str | None = None
    out: str | None = None
    backbone: str | None = None
    seed: int | None = None
    settings: tuple[str, ...] = ()


def read_schema_recipe(path: Path, overrides: SchemaOverrides | None = None) -> SchemaTraining:
    """Read the recipe of a closed schema.

    Args:
        path: TOML file.
        overrides: What the command line says against it, if anything.

    Returns:
        Settings.

    Raises:
        ConfigError: The file is missing, is not TOML, or has a wrong setting.
    """
    said = overrides or SchemaOverrides()
    config = read_recipe(SchemaTraining, path, needs=_NEEDED, settings=said.settings)
    changed = replace(
        config,
        data=said.data or config.data,
        out=said.out or config.out,
        backbone=said.backbone or config.backbone,
        start="" if said.backbone else config.start,
        seed=config.seed if said.seed is None else said.seed,
    )
    for name in ("types", "relations"):
        records_of(getattr(changed, name), where=f"{path} [[{name}]]")
    for name in ("train", "dev", "test"):
        sources_of(getattr(changed, name), where=f"{path} [[{name}]]")
    return changed


def records_of(tables: Tables, *, where: str) -> list[SchemaRecord]:
    """Read types or relations.

    Args:
        tables: Tables of a recipe.
        where: What to call them in messages.

    Returns:
        The same, checked.

    Raises:
        ConfigError: There is none, one lacks its id or name, has something unknown, or has the id
            of another.
    """
    found: dict[str, SchemaRecord] = {}
    for table in tables:
        if not (table.get("id") and table.get("name")):
            raise ConfigError(f"{where}: got {table!r}, expected id and name: add what is missing")
        record = from_mapping(SchemaRecord, table, where=where)
        if record.id in found:
            raise ConfigError(f"{where}: got {record.id!r} twice, expected it once: remove one")
        found[record.id] = record
    if not found:
        raise ConfigError(f"{where}: got none, expected at least one with id and name: add it")
    return list(found.values())


def sources_of(tables: Tables, *, where: str) -> list[SchemaSource]:
    """Read files of annotated texts.

    Args:
        tables: Tables of a recipe.
        where: What to call them in messages.

    Returns:
        The same, checked.

    Raises:
        ConfigError: One lacks its path or has something unknown.
    """
    for table in tables:
        if not table.get("path"):
            raise ConfigError(f"{where}: got {table!r} without a path, expected path = FILE")
    return [from_mapping(SchemaSource, table, where=where) for table in tables]
