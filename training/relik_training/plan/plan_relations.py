"""The part of an encoder of relations in a plan: its end is an export, and texts it classifies."""

import time
from dataclasses import replace
from pathlib import Path

from relik_training.data.json_lines import read_jsonl, write_jsonl
from relik_training.plan.plan_fit import EndCost
from relik_training.recipes.relation_settings import RelationTraining
from relik_training.relations.relation_bundle import build_relation_bundle
from relik_training.relations.relation_run import TEXTS, open_relation_run
from relik_training.run.metrics import folder_bytes
from relik_training.run.trainer import OpenRun

_SAMPLE = 64


class RelationKind:
    """Opens and ends the run of an encoder of relations in a scratch folder.

    Args:
        config: Settings of the run.
        folder: Scratch folder.
    """

    def __init__(self, config: RelationTraining, folder: Path) -> None:
        self.config = replace(config, out=str(folder / "run"))

    def open(self) -> OpenRun:
        """Read what the run starts from.

        Returns:
            The run.
        """
        return open_relation_run(self.config)

    def end(self) -> EndCost:
        """Make the bundle, measured on one text and then on some more.

        Returns:
            Cost of the whole end.
        """
        texts = Path(self.config.out) / TEXTS
        rows = list(read_jsonl(texts)) if texts.is_file() else []
        seconds = []
        for count in (1, 1 + min(_SAMPLE, len(rows))):
            if rows:
                write_jsonl(texts, rows[:count])
            began = time.monotonic()
            made = build_relation_bundle(self.config)
            seconds.append(time.monotonic() - began)
        one = max(0.0, seconds[1] - seconds[0]) / max(1, min(_SAMPLE, len(rows)))
        return EndCost(
            seconds=seconds[0] + one * len(rows),
            bundle_bytes=folder_bytes(Path(str(made["bundle"]))),
        )
