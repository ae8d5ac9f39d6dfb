"""The held-out share of a relation data set, which no run trains on."""

from pathlib import Path

import numpy as np

from relik_training.data.json_lines import read_jsonl, write_jsonl
from relik_training.recipes.recipe import ReaderTraining, RetrieverTraining, Tables


def hold_out(config: RetrieverTraining | ReaderTraining) -> tuple[Path, Path]:
    """Split a relation data set, stratified by relation; seed and share determine the split.

    Args:
        config: Settings of the run, whose `held_out_source` is the file.

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
    held_out: set[int] = set()
    for key in sorted(by_relation):
        numbers = by_relation[key]
        n_held_out = round(len(numbers) * config.held_out)
        held_out.update(int(n) for n in rng.choice(numbers, n_held_out, replace=False))
    train, test = Path(config.out) / f"train-{name}", Path(config.out) / f"held-out-{name}"
    write_jsonl(train, (row for i, row in enumerate(rows) if i not in held_out))
    write_jsonl(test, (row for i, row in enumerate(rows) if i in held_out))
    return train, test


def without_held_out(
    config: RetrieverTraining | ReaderTraining, sources: Tables | None = None
) -> Tables:
    """Split `held_out_source`, and replace it by its training part.

    Args:
        sources: Data sets, as tables of `SourceConfig`; None for those of the run.
    """
    sources = config.sources if sources is None else sources
    if not config.held_out_source:
        return sources
    train, _ = hold_out(config)
    return tuple(
        {**table, "path": str(train.resolve())}
        if table.get("path") == config.held_out_source
        else table
        for table in sources
    )
