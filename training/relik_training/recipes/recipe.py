"""The recipes of retriever and reader: settings of runs and of their bundles. Needs no torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from annotated_types import Interval

from relik.config import changed, read_pipeline
from relik.errors import ConfigError
from relik.toml_settings import Dropout, Natural, Positive, Rate, Share, Weight
from relik_training.data.knowledge import KnowledgeConfig
from relik_training.distill.distill_settings import ReaderDistillation, RetrieverDistillation
from relik_training.recipes.reader_settings import (
    Augmentation,
    Curriculum,
    EarlyStopping,
    ReaderSampling,
)
from relik_training.recipes.recipe_files import Overrides, open_recipe, read_recipe
from relik_training.recipes.retriever_settings import FusionTraining, IndexTraining, Mining
from relik_training.recipes.run_settings import RunSettings
from relik_training.recipes.source_config import SourceConfig
from relik_training.run.lora import LoraSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationTraining:
    """What scores are calibrated on.

    Args:
        sources: Development sets, none of them trained on.
        limit: Most documents of each set; 0 takes all.
        threshold: Least raw score of a span that takes part.
        relation_threshold: Least raw score of a triple that takes part.
        precision: For which precision a second pair of thresholds is reported.
        slack: The threshold of spans is the lowest whose F1 is at most so far below the best.
        triple_slack: The threshold of triples is the highest whose F1 is: what texts do not state
            is not to be said.
        ends: Weights of the doubt about both ends of a triple, of which the one is taken that tells
            right triples from wrong ones best (`CalibrationConfig.triple_ends`); none tries none.
    """

    sources: tuple[SourceConfig, ...] = ()
    limit: Natural = 0
    threshold: Share = 0.02
    relation_threshold: Share = 0.02
    precision: Share = 0.9
    slack: Share = 0.0
    triple_slack: Share = 0.0
    ends: tuple[Weight, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieverTraining(RunSettings):
    """Settings of a retriever run and of the base bundle made from it.

    Args:
        start: Folder of a finished run, or query_encoder/ of a bundle, whose weights this run
            begins with; empty for those of the backbone.
        sources: Data sets.
        titles: File of `title, id` that maps page titles to entities; empty for none.
        max_tokens: Tokens of a window.
        passage_tokens: Tokens of a record.
        temperature: Divides cosines.
        matryoshka: Lengths of the beginnings of a vector that are trained beside the whole.
        chunk: Texts encoded at once, so that memory does not grow with the batch; 0 for all.
        attention_dropout: Dropout inside attention, 0..1.
        hard_negatives: Namesakes per mention-bearing window.
        name_dropout: Share of passages without their name.
        alias_rate: Share of passages with one of their aliases in place of the name.
        spare_named: Records named in a window without a link are no negatives of it.
        relation_negatives: Relations drawn for each batch, beside those that hold.
        max_examples: Windows to keep, 0 for all.
        augmentation: Which windows are told again with other names.
        held_out: As in `ReaderTraining`.
        held_out_source: As in `ReaderTraining`.
        mining: How hard negatives are mined.
        distillation: The teacher, and what is learned from it.
        lora: Adapters in place of whole weights.
        knowledge: Entities and relations; built where absent.
        index: How they are indexed.
        fusion: What the fusion of evidence is fitted on.
    """

    backbone: str
    sources: tuple[SourceConfig, ...]
    start: str = ""
    titles: str = ""
    out: str = "runs/retriever"
    max_tokens: Positive = 128
    passage_tokens: Positive = 24
    batch_size: Positive = 32
    max_steps: Positive = 400
    warmup_steps: Natural = 40
    learning_rate: Rate = 5e-5
    temperature: Rate = 0.05
    matryoshka: tuple[Positive, ...] = ()
    chunk: Natural = 0
    attention_dropout: Dropout = 0.0
    hidden_dropout: Dropout = 0.0
    hard_negatives: Natural = 4
    name_dropout: Share = 0.1
    alias_rate: Share = 0.0
    spare_named: bool = False
    relation_negatives: Natural = 0
    max_examples: Natural = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    held_out: Share = 0.1
    held_out_source: str = ""
    mining: Mining = field(default_factory=Mining)
    distillation: RetrieverDistillation = field(default_factory=RetrieverDistillation)
    lora: LoraSettings = field(default_factory=LoraSettings)
    knowledge: KnowledgeConfig = field(default_factory=KnowledgeConfig)
    index: IndexTraining = field(default_factory=IndexTraining)
    fusion: FusionTraining = field(default_factory=FusionTraining)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderTraining(RunSettings):
    """Settings of a reader run and of the bundle made from it.

    Args:
        start: Folder of a finished reader run, or of a bundle, or "default", whose reader this run
            begins with; empty begins with the backbone.
        trained_relations: How many relation markers the reader of `start` was trained with, where
            this run uses more; 0 where it does not.
        prototype_weight: How far the bundle draws the vectors of relations to the windows of this
            run that state them (`relik_training.reader.prototypes`), 0 for not at all.
        knowledge: Folder with entities.jsonl and relations.jsonl.
        base: Folder with shared/, query_encoder/, entities/, relations/ and pipeline.toml, as
            the retriever run leaves it. Empty makes it, in `out/base`, of the bundle `start` and
            indexes of `knowledge`.
        sources: Data sets.
        titles: File of `title, id` that maps page titles to entities; empty for none.
        sampling: How candidates are drawn.
        positive_unlabelled: Where a set annotates some mentions or relations, what it leaves out
            may be one; else, as where it annotates all, it is none.
        augmentation: Which windows are told again with other names.
        curriculum: Whether easy windows come first.
        early_stopping: Whether the run ends where it no longer gets better.
        distillation: The teacher, and what is learned from it.
        lora: Adapters in place of whole weights.
        linears_hidden_size: Width inside the heads.
        between: Relations read the words between two mentions too.
        n_entities: Entity markers.
        n_relations: Relation markers.
        head_learning_rate: Peak rate of heads and markers.
        layer_decay: Factor of the rate from each layer to the one below.
        gradient_checkpointing: Compute states again for the gradients in place of keeping them.
        packing: Compute no padding (`relik.models.packed_bert`).
        held_out: Share of windows of each relation kept out of training, for measuring.
        held_out_source: The data set of which that share is kept out.
        calibration: What scores are calibrated on; without sources they stay raw.
    """

    knowledge: str
    sources: tuple[SourceConfig, ...]
    base: str = ""
    titles: str = ""
    start: str = ""
    trained_relations: Natural = 0
    prototype_weight: Weight = 0.0
    out: str = "runs/reader"
    model: str = ""
    sampling: ReaderSampling = field(default_factory=ReaderSampling)
    positive_unlabelled: bool = True
    augmentation: Augmentation = field(default_factory=Augmentation)
    curriculum: Curriculum = field(default_factory=Curriculum)
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)
    distillation: ReaderDistillation = field(default_factory=ReaderDistillation)
    lora: LoraSettings = field(default_factory=LoraSettings)
    linears_hidden_size: Positive = 256
    between: bool = False
    n_entities: Positive = 100
    n_relations: Positive = 50
    max_steps: Positive = 1300
    warmup_steps: Natural = 60
    learning_rate: Rate = 1.5e-4
    head_learning_rate: Rate = 5e-4
    layer_decay: Annotated[float, Interval(gt=0, le=1)] = 0.9
    gradient_checkpointing: bool = False
    packing: bool = False
    held_out: Share = 0.1
    held_out_source: str = ""
    checkpoint_steps: Positive = 100
    calibration: CalibrationTraining = field(default_factory=CalibrationTraining)


def read_retriever_recipe(path: Path, overrides: Overrides | None = None) -> RetrieverTraining:
    """Read the recipe of a retriever.

    Args:
        path: TOML file.
        overrides: What the command line says against it, if anything.

    Raises:
        ConfigError: The file is missing, is not TOML, or has a wrong setting.
    """
    return read_recipe(RetrieverTraining, path, overrides)


def read_reader_recipe(path: Path, overrides: Overrides | None = None) -> ReaderTraining:
    """Read the recipe of a reader.

    Args:
        path: TOML file.
        overrides: What the command line says against it, if anything.

    Raises:
        ConfigError: The file is missing, is not TOML, or has a wrong setting.
    """
    config = read_recipe(ReaderTraining, path, overrides)
    missing = [name for name in ("backbone", "base") if not getattr(config, name)]
    # What to begin with stands for what it is made of.
    if missing and not config.start:
        raise ConfigError(
            f"{path}: got no {missing[0]!r} and no 'start', expected backbone and base, or start: "
            "add what the run begins with"
        )
    return config


def is_reader_recipe(path: Path) -> bool:
    """Tell the recipe of a reader, which stands on a base, from that of a retriever.

    Args:
        path: TOML file.

    Returns:
        True for a reader.

    Raises:
        ConfigError: The file is missing or is not TOML.
    """
    table = open_recipe(path).values
    # The knowledge of a retriever's recipe is a table: it says how it is made.
    return "base" in table or isinstance(table.get("knowledge"), str)


def check_inputs(config: RetrieverTraining | ReaderTraining) -> None:
    """Look for the files of a run before any work is done.

    Args:
        config: Settings of the run.

    Raises:
        ConfigError: A data set, the titles, the knowledge or the base is missing, or the settings
            of the base and those of the recipe do not go together.
    """
    data = Path(config.data)
    fitting = config.calibration if isinstance(config, ReaderTraining) else config.fusion
    files = [data / source.path for source in (*config.sources, *fitting.sources)]
    if config.titles:
        files.append(data / config.titles)
    if isinstance(config, ReaderTraining):
        knowledge = Path(config.knowledge)
        files.append(knowledge / "entities.jsonl")
        files.append(
            Path(config.base) / "pipeline.toml" if config.base else knowledge / "relations.jsonl"
        )
    for file in files:
        if not file.is_file():
            raise ConfigError(
                f"{file}: is missing, expected a file: give the folder of the data sets by "
                "--data, and train the retriever before the reader"
            )
    if isinstance(config, ReaderTraining) and config.base:
        # Refused now rather than after hours of training.
        settings = read_pipeline(Path(config.base) / "pipeline.toml")
        changed(settings, config.pipeline, where="[pipeline]")
