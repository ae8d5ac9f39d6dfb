"""`relik train schema`: one run, or the same with several seeds, and what they come to."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from relik.manifest import MANIFEST, read_manifest
from relik_training.recipes.schema_settings import SchemaTraining
from relik_training.run.metrics import end_run
from relik_training.run.run_files import BUNDLE_FOLDER, check_same
from relik_training.run.trainer import train
from relik_training.schema.schema_data import write_splits
from relik_training.schema.schema_run import SchemaRun

SUMMARY = "seeds.json"
_READINGS = ("triples", "boundaries", "entities")
_FIGURES = ("precision", "recall", "f1", "macro_f1")


def train_seeds(config: SchemaTraining, n_seeds: int) -> dict[str, object]:
    """Train, build and measure one bundle for each of several seeds.

    A seed whose bundle is there is not trained again, and one that was stopped goes on.

    Args:
        config: Settings; `out` is the folder of all runs, `seed` the first of the seeds.
        n_seeds: How many seeds follow each other, at least 1.

    Returns:
        Of one seed, what `build_schema_bundle` returns. Of several, their bundles and for `dev`
        and `test` the mean and the standard deviation (of the sample) of each figure; this goes
        to `out/seeds.json` too.

    Raises:
        ConfigError: A file or the backbone is missing, or a folder has a run with other settings.
        InputError: A text does not fit the schema.
    """
    splits = write_splits(config)
    fitted_by = _thresholds(config, splits) if config.with_dev else None
    reports = [
        _train_one(_of_seed(config, config.seed + number), splits, fitted_by)
        for number in range(n_seeds)
    ]
    if n_seeds == 1:
        return reports[0]
    summary: dict[str, object] = {
        "seeds": [config.seed + number for number in range(n_seeds)],
        "bundles": [report["bundle"] for report in reports],
        **{
            name: _spread([each for each in (report.get(name) for report in reports) if each])
            for name in ("dev", "test")
            if reports[0].get(name)
        },
    }
    path = Path(config.out) / SUMMARY
    path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary


def _of_seed(config: SchemaTraining, seed: int) -> SchemaTraining:
    folder = f"seed-{seed}" + ("-with-dev" if config.with_dev else "")
    return replace(config, seed=seed, out=str(Path(config.out) / folder))


def _thresholds(config: SchemaTraining, splits: dict[str, Path]) -> Path:
    """Train the first seed where dev is not trained on, and choose thresholds there for all."""
    without = _of_seed(replace(config, with_dev=False), config.seed)
    _train_one(without, splits, None)
    return Path(without.out) / BUNDLE_FOLDER


def _train_one(
    config: SchemaTraining, splits: dict[str, Path], fitted_by: Path | None
) -> dict[str, object]:
    bundle = Path(config.out) / BUNDLE_FOLDER
    if (bundle / MANIFEST).is_file():
        check_same(Path(config.out), config)
        metrics = read_manifest(bundle).fields.get("metrics")
        return {"bundle": str(bundle), **(metrics if isinstance(metrics, dict) else {})}
    run = SchemaRun(config=config, splits=splits, fitted_by=fitted_by)
    train(run)
    made, _ = end_run(config, run.end)
    return made


def _spread(reports: Sequence[Any]) -> dict[str, dict[str, Mapping[str, float]]]:
    return {
        reading: {
            figure: _mean_and_deviation([float(report[reading][figure]) for report in reports])
            for figure in _FIGURES
        }
        for reading in _READINGS
    }


def _mean_and_deviation(values: Sequence[float]) -> dict[str, float]:
    return {
        "mean": round(statistics.mean(values), 4),
        "std": round(statistics.stdev(values), 4) if len(values) > 1 else 0.0,
    }
