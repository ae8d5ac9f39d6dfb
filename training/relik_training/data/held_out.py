"""A share of a relation data set that no run trains on, for measuring."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from relik_training.data.json_lines import read_jsonl, write_jsonl
from relik_training.recipes.recipe import ReaderTraining, RetrieverTraining
from relik_training.recipes.source_config import SourceConfig


def hold_out(config: RetrieverTraining | ReaderTraining) -> tuple[Path, Path]:
    """Split a relation data set, the same share of every relation, by the seed.

    Args:
        config: Settings; `held_out_source` names the file. The same seed and share give the
            same split in every run.

    Returns:
        Files of the training part and of the held-out part, in the folder of the run.
    """
    name = config.held_out_source
    rows = list(read_jsonl(Path(config.data) / name))
    by_relation: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        key = row["triples"][0][1] if row["triples"] else ""
        by_relation.setdefault(key, []).append(number)
    rng = np.random.default_rng(config.seed)
    held: set[int] = set()
    for key in sorted(by_relation):
        numbers = by_relation[key]
        take = round(len(numbers) * config.held_out)
        held.update(int(n) for n in rng.choice(numbers, take, replace=False))
    train, test = Path(config.out) / f"train-{name}", Path(config.out) / f"held-out-{name}"
    write_jsonl(train, (row for i, row in enumerate(rows) if i not in held))
    write_jsonl(test, (row for i, row in enumerate(rows) if i in held))
    return train, test


def without_held_out(
    config: RetrieverTraining | ReaderTraining, sources: Sequence[SourceConfig] | None = None
) -> tuple[SourceConfig, ...]:
    """Put the training part of `held_out_source` in its place; make the split.

    Args:
        config: Settings of the run.
        sources: Data sets; those of the run where absent.

    Returns:
        The data sets.
    """
    sources = config.sources if sources is None else sources
    if not config.held_out_source:
        return tuple(sources)
    train, _ = hold_out(config)
    return tuple(
        replace(source, path=str(train.resolve()))
        if source.path == config.held_out_source
        else source
        for source in sources
    )
