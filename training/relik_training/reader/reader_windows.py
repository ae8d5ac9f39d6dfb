"""The windows that a run of the reader trains on, and the texts that it is measured on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from relik.config import WindowConfig
from relik_training.augment.augmentation import with_copies
from relik_training.data.examples import Example, read_examples
from relik_training.data.held_out import without_held_out
from relik_training.data.knowledge_records import Records
from relik_training.recipes.recipe import ReaderTraining
from relik_training.recipes.source_config import SourceConfig

_WHOLE = WindowConfig(size=10**9, stride=10**9)


def taken_as_whole(sources: Sequence[SourceConfig]) -> tuple[SourceConfig, ...]:
    """Take sets that annotate some mentions or relations as if they annotated all.

    Returns:
        The same with "all" in the place of "some"; "none" stays, since there nothing was sought.
    """
    return tuple(
        replace(
            source,
            mentions="all" if source.mentions == "some" else source.mentions,
            relations="all" if source.relations == "some" else source.relations,
        )
        for source in sources
    )


def read_windows(config: ReaderTraining) -> Sequence[Example]:
    """Read the labelled windows of all sets, then changed copies and pages that are made."""
    path = Path(config.knowledge) / "entities.jsonl"
    entities = Records.read(path)
    sources = without_held_out(config)
    examples = read_examples(
        sources if config.positive_unlabelled else taken_as_whole(sources),
        data=Path(config.data),
        titles=config.titles,
        entities=entities,
        windows=config.windows,
    )
    return with_copies(examples, path, entities, config.augmentation, seed=config.seed)


def read_development(config: ReaderTraining, *, limit: int = 0) -> list[Example]:
    """Read the documents of `[calibration]`, each of them whole: serving splits it into windows.

    Args:
        limit: Most documents of each set; 0 for as many as each set says.
    """
    sources = config.calibration.sources
    return read_examples(
        [replace(source, limit=limit or source.limit) for source in sources],
        data=Path(config.data),
        titles=config.titles,
        entities=Records.read(Path(config.knowledge) / "entities.jsonl"),
        windows=_WHOLE,
    )
