"""The part of a closed schema in a plan: its end is an export, and texts that are annotated."""

import time
from dataclasses import replace
from pathlib import Path

from relik.bundle import open_bundle
from relik_training.data.json_lines import read_jsonl, write_jsonl
from relik_training.plan.plan_fit import EndCost
from relik_training.plan.plan_reader import annotating_seconds
from relik_training.recipes.schema_settings import SchemaTraining
from relik_training.run.metrics import folder_bytes
from relik_training.run.trainer import OpenRun
from relik_training.schema.schema_bundle import build_schema_bundle
from relik_training.schema.schema_data import read_typed_examples, write_splits
from relik_training.schema.schema_run import open_schema_run


class SchemaKind:
    """Opens and ends the run of a closed schema in a scratch folder.

    Args:
        config: Settings of the run.
        folder: Scratch folder.
    """

    def __init__(self, config: SchemaTraining, folder: Path) -> None:
        self._folder = folder
        self.config = replace(config, out=str(folder / "run"))
        self._splits: dict[str, Path] = {}

    def open(self) -> OpenRun:
        """Read what the run starts from.

        Returns:
            The run.
        """
        self._splits = write_splits(replace(self.config, out=str(self._folder / "splits")))
        return open_schema_run(self.config, self._splits)

    def end(self) -> EndCost:
        """Make the bundle, with one text for each split; annotate some more.

        Returns:
            Cost of the whole end.
        """
        few = {}
        for name, path in self._splits.items():
            few[name] = self._folder / f"one-{path.name}"
            write_jsonl(few[name], [next(iter(read_jsonl(path)))])
        began = time.monotonic()
        made = build_schema_bundle(self.config, few)
        fixed = time.monotonic() - began
        bundle = Path(str(made["bundle"]))
        files = [path for name, path in self._splits.items() if name != "train"]
        pipeline = open_bundle(bundle, verify=False).pipeline()
        return EndCost(
            seconds=fixed + annotating_seconds(pipeline, read_typed_examples(files)),
            bundle_bytes=folder_bytes(bundle),
        )
