"""What the recipe of a closed schema can say: its types and relations, texts, and how to train."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from annotated_types import Interval

from relik.config import WindowConfig
from relik.errors import ConfigError
from relik.toml_settings import Dropout, Natural, Positive, Rate, Share, Weight
from relik_training.distill.distill_settings import ReaderDistillation
from relik_training.recipes.recipe_files import Overrides, read_recipe
from relik_training.recipes.run_settings import RunSettings
from relik_training.run.lora import LoraSettings


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

    def __post_init__(self) -> None:
        if not (self.id and self.name):
            raise ConfigError(
                f"got id {self.id!r} and name {self.name!r}, expected both: add what is missing"
            )


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
    max_words: Natural = 0
    complete: bool = True
    relations: bool = True
    argument_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    type_names: Mapping[str, str] = field(default_factory=dict)
    relation_names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaTraining(RunSettings):
    """Settings of the reader of a closed schema, and of the bundle made from it.

    `out` is the folder of all runs; each seed has its own in it.

    Args:
        types: Types of mentions.
        relations: Relations.
        train: Texts to train on.
        dev: Texts that thresholds are chosen on.
        test: Texts to measure on; none where empty.
        start: Folder of a finished reader run, or of a bundle, or "default", whose reader this
            run begins with; empty begins with the backbone.
        windows: How long texts are split; a text to train on is one window.
        max_tokens: Most tokens of a row; half of it are room for the text.
        case_noise: Share of windows read as all capitals, and again as all lower case.
        linears_hidden_size: Width inside the heads.
        between: Relations read the words between two mentions too.
        head_learning_rate: Peak rate of heads and markers.
        layer_decay: Factor of the rate from each layer to the one below.
        last_rate: Share of the peak rates at the end, 0..1; above 0 `average` has more to average.
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
    """

    backbone: str
    types: tuple[SchemaRecord, ...]
    relations: tuple[SchemaRecord, ...]
    train: tuple[SchemaSource, ...]
    dev: tuple[SchemaSource, ...]
    test: tuple[SchemaSource, ...] = ()
    start: str = ""
    out: str = "runs/schema"
    windows: WindowConfig = field(default_factory=lambda: WindowConfig(size=128, stride=96))
    max_tokens: Positive = 512
    case_noise: Share = 0.0
    linears_hidden_size: Positive = 256
    between: bool = False
    batch_size: Positive = 8
    max_steps: Positive = 1500
    warmup_steps: Natural = 150
    learning_rate: Rate = 2e-4
    head_learning_rate: Rate = 5e-4
    layer_decay: Annotated[float, Interval(gt=0, le=1)] = 0.9
    last_rate: Share = 0.0
    pretokenised: bool = False
    swaps: Natural = 0
    wrong_spans: Natural = 0
    wrong_pairs: Weight = 0.0
    average: Dropout = 0.0
    start_weight: Weight = 1.0
    half_f1: bool = False
    distillation: ReaderDistillation = field(default_factory=ReaderDistillation)
    lora: LoraSettings = field(default_factory=LoraSettings)
    frozen_layers: Natural = 0
    with_dev: bool = False
    checkpoint_steps: Positive = 500

    def __post_init__(self) -> None:
        for name, records in (("types", self.types), ("relations", self.relations)):
            _check_ids(name, records)


def read_schema_recipe(path: Path, overrides: Overrides | None = None) -> SchemaTraining:
    """Read the recipe of a closed schema.

    Args:
        path: TOML file.
        overrides: What the command line says against it, if anything.

    Raises:
        ConfigError: The file is missing, is not TOML, or has a wrong setting.
    """
    said = overrides or Overrides()
    config = read_recipe(SchemaTraining, path, said)
    return replace(
        config,
        backbone=said.backbone or config.backbone,
        start="" if said.backbone else config.start,
        seed=config.seed if said.seed is None else said.seed,
    )


def _check_ids(name: str, records: Sequence[SchemaRecord]) -> None:
    known: set[str] = set()
    for record in records:
        if record.id in known:
            raise ConfigError(
                f"got {record.id!r} twice in [[{name}]], expected it once: remove one"
            )
        known.add(record.id)
    if not records:
        raise ConfigError(f"got no [[{name}]], expected at least one with id and name: add it")
