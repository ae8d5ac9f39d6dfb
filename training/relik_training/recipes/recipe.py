"""What a recipe can say: the settings of runs and of the bundles made from them. Needs no torch."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from relik.config import WindowConfig, from_mapping
from relik.errors import ConfigError
from relik_training.data.knowledge import KnowledgeConfig
from relik_training.distill.distill_settings import ReaderDistillation, RetrieverDistillation
from relik_training.recipes.evaluation_settings import Evaluation
from relik_training.recipes.reader_settings import (
    Augmentation,
    Curriculum,
    EarlyStopping,
    ReaderSampling,
    Serving,
)
from relik_training.recipes.recipe_files import read_recipe, read_table
from relik_training.recipes.retriever_settings import FusionTraining, IndexTraining, Mining
from relik_training.recipes.source_config import SourceConfig
from relik_training.run.lora import LoraSettings

Tables: TypeAlias = tuple[dict[str, object], ...]
"""Tables of a recipe that are read one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Something that a bundle is made from.

    Args:
        name: What it is.
        licence: Its licence.
        used_for: What it is used for.
    """

    name: str
    licence: str
    used_for: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationTraining:
    """What scores are calibrated on.

    Args:
        sources: Development sets, tables as `SourceConfig`; none of them trained on.
        limit: Most documents of each set; 0 takes all.
        threshold: Least raw score of a span that takes part, 0..1.
        relation_threshold: Least raw score of a triple that takes part, 0..1.
        precision: For which precision a second pair of thresholds is reported, 0..1.
        slack: The threshold of spans is the lowest whose F1 is at most so far below the best.
        triple_slack: The threshold of triples is the highest whose F1 is: what texts do not state
            is not to be said.
        span_threshold: Threshold of spans in place of the best F1, where the development texts mark
            too few mentions to choose it by; 0 for the best F1.
        triple_threshold: Threshold of triples, likewise.
        ends: Weights of the doubt about both ends of a triple, of which the one is taken that tells
            right triples from wrong ones best (`CalibrationConfig.triple_ends`); none tries none.
    """

    sources: Tables = ()
    limit: int = 0
    threshold: float = 0.02
    relation_threshold: float = 0.02
    precision: float = 0.9
    slack: float = 0.0
    triple_slack: float = 0.0
    span_threshold: float = 0.0
    triple_threshold: float = 0.0
    ends: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("span_threshold", "triple_threshold"):
            if not 0.0 <= (value := getattr(self, name)) < 1.0:
                raise ConfigError(
                    f"got {name} {value}, expected a score below 1, or 0 for the best F1: change "
                    "[calibration]"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieverTraining:
    """Settings of a retriever run and of the base bundle made from it.

    Args:
        backbone: Pretrained weights; see `relik_training.run.backbone.resolve`.
        start: Folder of a finished run, or query_encoder/ of a bundle, whose weights this run
            begins with; empty for those of the backbone.
        data: Folder of the data sets.
        sources: Data sets, tables as `SourceConfig`.
        titles: File of `title, id` that maps page titles to entities; empty for none.
        out: Folder of the run; the bundle goes to `out/bundle`.
        model: Name of the model, given back in every answer.
        windows: How texts are split.
        max_tokens: Tokens of a window.
        passage_tokens: Tokens of a record.
        batch_size: Windows per step.
        max_steps: Steps.
        warmup_steps: Steps of warm-up.
        learning_rate: Peak learning rate.
        temperature: Divides cosines.
        matryoshka: Lengths of the beginnings of a vector that are trained beside the whole.
        chunk: Texts encoded at once, so that memory does not grow with the batch; 0 for all.
        attention_dropout: Dropout inside attention, 0..1.
        hidden_dropout: Dropout of the backbone's hidden states, 0..1.
        hard_negatives: Namesakes per mention-bearing window.
        name_dropout: Share of passages without their name.
        alias_rate: Share of passages with one of their aliases in place of the name.
        spare_named: Records named in a window without a link are no negatives of it.
        relation_negatives: Relations drawn for each batch, beside those that hold.
        max_examples: Windows to keep, 0 for all.
        augmentation: Which windows are told again with other names.
        held_out: As in `ReaderTraining`.
        held_out_source: As in `ReaderTraining`.
        checkpoint_steps: Steps between checkpoints.
        precision: Lightning precision or "auto".
        seed: Seed of everything.
        mining: How hard negatives are mined.
        distillation: The teacher, and what is learned from it.
        lora: Adapters in place of whole weights.
        knowledge: Entities and relations; built where absent.
        index: How they are indexed.
        fusion: What the fusion of evidence is fitted on.
        provenance: What it is made from, tables as `Provenance`.
    """

    backbone: str
    data: str
    sources: Tables
    start: str = ""
    titles: str = ""
    out: str = "runs/retriever"
    model: str = "unnamed"
    windows: WindowConfig = field(default_factory=WindowConfig)
    max_tokens: int = 128
    passage_tokens: int = 24
    batch_size: int = 32
    max_steps: int = 400
    warmup_steps: int = 40
    learning_rate: float = 5e-5
    temperature: float = 0.05
    matryoshka: tuple[int, ...] = ()
    chunk: int = 0
    attention_dropout: float = 0.0
    hidden_dropout: float = 0.0
    hard_negatives: int = 4
    name_dropout: float = 0.1
    alias_rate: float = 0.0
    spare_named: bool = False
    relation_negatives: int = 0
    max_examples: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    held_out: float = 0.1
    held_out_source: str = ""
    evaluation: Evaluation = field(default_factory=Evaluation)
    checkpoint_steps: int = 50
    precision: str = "auto"
    seed: int = 13
    mining: Mining = field(default_factory=Mining)
    distillation: RetrieverDistillation = field(default_factory=RetrieverDistillation)
    lora: LoraSettings = field(default_factory=LoraSettings)
    knowledge: KnowledgeConfig = field(default_factory=KnowledgeConfig)
    index: IndexTraining = field(default_factory=IndexTraining)
    fusion: FusionTraining = field(default_factory=FusionTraining)
    provenance: Tables = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderTraining:
    """Settings of a reader run and of the bundle made from it.

    Args:
        backbone: Pretrained weights; see `relik_training.run.backbone.resolve`. Empty for the
            backbone of `start`.
        start: Folder of a finished reader run, or of a bundle, or "default", whose reader this run
            begins with; empty begins with the backbone.
        trained_relations: How many relation markers the reader of `start` was trained with, where
            this run uses more; 0 where it does not.
        prototype_weight: How far the bundle draws the vectors of relations to the windows of this
            run that state them (`relik_training.reader.prototypes`), 0 for not at all.
        data: Folder of the data sets.
        knowledge: Folder with entities.jsonl and relations.jsonl.
        base: Folder with shared/, query_encoder/, entities/, relations/ and pipeline.toml, as
            the retriever run leaves it. Empty makes it, in `out/base`, of the bundle `start` and
            indexes of `knowledge`.
        model: Name of the model, given back in every answer; that of the base where empty.
        sources: Data sets, tables as `SourceConfig`.
        titles: File of `title, id` that maps page titles to entities; empty for none.
        out: Folder of the run; the bundle goes to `out/bundle`.
        windows: How texts are split.
        sampling: How candidates are drawn.
        positive_unlabelled: Where a set annotates some mentions or relations, what it leaves out
            may be one; else, as where it annotates all, it is none.
        augmentation: Which windows are told again with other names.
        curriculum: Whether easy windows come first.
        early_stopping: Whether the run ends where it no longer gets better.
        distillation: The teacher, and what is learned from it.
        lora: Adapters in place of whole weights.
        serving: What the bundle's pipeline.toml says of windows and candidates.
        linears_hidden_size: Width inside the heads.
        between: Relations read the words between two mentions too.
        n_entities: Entity markers.
        n_relations: Relation markers.
        batch_size: Windows per step.
        max_steps: Steps.
        warmup_steps: Steps of warm-up.
        learning_rate: Peak rate of the top layer.
        head_learning_rate: Peak rate of heads and markers.
        layer_decay: Factor of the rate from each layer to the one below.
        hidden_dropout: Dropout of the backbone's hidden states, 0..1.
        gradient_checkpointing: Compute states again for the gradients in place of keeping them.
        packing: Compute no padding (`relik.models.packed_bert`).
        held_out: Share of windows of each relation kept out of training, for measuring.
        held_out_source: The data set of which that share is kept out.
        checkpoint_steps: Steps between checkpoints.
        precision: Lightning precision or "auto".
        seed: Seed of everything.
        calibration: What scores are calibrated on; without sources they stay raw.
        provenance: What it is made from beside the base, tables as `Provenance`.
    """

    data: str
    knowledge: str
    sources: Tables
    backbone: str = ""
    base: str = ""
    titles: str = ""
    start: str = ""
    trained_relations: int = 0
    prototype_weight: float = 0.0
    out: str = "runs/reader"
    model: str = ""
    windows: WindowConfig = field(default_factory=WindowConfig)
    sampling: ReaderSampling = field(default_factory=ReaderSampling)
    positive_unlabelled: bool = True
    augmentation: Augmentation = field(default_factory=Augmentation)
    curriculum: Curriculum = field(default_factory=Curriculum)
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)
    distillation: ReaderDistillation = field(default_factory=ReaderDistillation)
    lora: LoraSettings = field(default_factory=LoraSettings)
    serving: Serving = field(default_factory=Serving)
    linears_hidden_size: int = 256
    between: bool = False
    n_entities: int = 100
    n_relations: int = 50
    batch_size: int = 16
    max_steps: int = 1300
    warmup_steps: int = 60
    learning_rate: float = 1.5e-4
    head_learning_rate: float = 5e-4
    layer_decay: float = 0.9
    hidden_dropout: float = 0.1
    gradient_checkpointing: bool = False
    packing: bool = False
    held_out: float = 0.1
    held_out_source: str = ""
    evaluation: Evaluation = field(default_factory=Evaluation)
    checkpoint_steps: int = 100
    precision: str = "auto"
    seed: int = 13
    calibration: CalibrationTraining = field(default_factory=CalibrationTraining)
    provenance: Tables = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the command line says against the recipe.

    Args:
        data: Folder of the data sets, or None.
        out: Folder of the run, or None.
        settings: Other values of settings, as of `recipe_files.read_table`.
    """

    data: str | None = None
    out: str | None = None
    settings: tuple[str, ...] = ()


def read_retriever_recipe(path: Path, overrides: Overrides | None = None) -> RetrieverTraining:
    """Read the recipe of a retriever.

    Args:
        path: TOML file.
        overrides: What the command line says against it, if anything.

    Returns:
        Settings.

    Raises:
        ConfigError: The file is missing, is not TOML, or has a wrong setting.
    """
    said = overrides or Overrides()
    needs = ("backbone", "data", "sources")
    config = read_recipe(RetrieverTraining, path, needs=needs, settings=said.settings)
    return replace(config, data=said.data or config.data, out=said.out or config.out)


def read_reader_recipe(path: Path, overrides: Overrides | None = None) -> ReaderTraining:
    """Read the recipe of a reader.

    Args:
        path: TOML file.
        overrides: What the command line says against it, if anything.

    Returns:
        Settings.

    Raises:
        ConfigError: The file is missing, is not TOML, or has a wrong setting.
    """
    # What to begin with stands for what it is made of.
    said = overrides or Overrides()
    begun = () if read_table(path, said.settings).get("start") else ("backbone", "base")
    needs = ("data", "knowledge", "sources", *begun)
    config = read_recipe(ReaderTraining, path, needs=needs, settings=said.settings)
    return replace(config, data=said.data or config.data, out=said.out or config.out)


def is_reader_recipe(path: Path) -> bool:
    """Tell the recipe of a reader, which stands on a base, from that of a retriever.

    Args:
        path: TOML file.

    Returns:
        True for a reader.

    Raises:
        ConfigError: The file is missing or is not TOML.
    """
    table = read_table(path)
    # The knowledge of a retriever's recipe is a table: it says how it is made.
    return "base" in table or isinstance(table.get("knowledge"), str)


def provenance_of(tables: Tables) -> list[Provenance]:
    """Read what a bundle is made from.

    Args:
        tables: Tables of a recipe.

    Returns:
        The same, checked.

    Raises:
        ConfigError: A table lacks something or has something unknown.
    """
    found = []
    for number, table in enumerate(tables):
        missing = {"name", "licence", "used_for"} - set(table)
        if missing:
            raise ConfigError(
                f"provenance[{number}]: got no {sorted(missing)[0]}, expected name, licence and "
                "used_for: add it"
            )
        found.append(from_mapping(Provenance, table, where=f"provenance[{number}]"))
    return found


def check_inputs(config: RetrieverTraining | ReaderTraining) -> None:
    """Look for the files of a run before any work is done.

    Args:
        config: Settings of the run.

    Raises:
        ConfigError: A data set, the titles, the knowledge or the base is missing.
    """
    data = Path(config.data)
    files = [data / _path_of(table) for table in (*config.sources, *_fitting_sources(config))]
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


def _fitting_sources(config: RetrieverTraining | ReaderTraining) -> Tables:
    return (
        config.calibration.sources if isinstance(config, ReaderTraining) else config.fusion.sources
    )


def _path_of(table: dict[str, object]) -> str:
    if "path" not in table:
        raise ConfigError(f"[[sources]]: got {table!r} without a path, expected path = FILE")
    return from_mapping(SourceConfig, table, where="[[sources]]").path
