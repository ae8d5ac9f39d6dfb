"""The reader's part of a plan: its end is an export and a calibration."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from relik.bundle import open_bundle
from relik.config import WindowConfig
from relik.pipeline import Pipeline
from relik.types import AnnotateOptions, Document
from relik_training.data.examples import Example, read_examples
from relik_training.data.knowledge_records import Records
from relik_training.plan.plan_fit import EndCost, sample_documents
from relik_training.reader.own_base import standing_already
from relik_training.reader.reader_bundle import build_bundle
from relik_training.reader.reader_run import open_reader_run
from relik_training.recipes.recipe import CalibrationTraining, ReaderTraining
from relik_training.run.metrics import folder_bytes
from relik_training.run.trainer import OpenRun

_DOCUMENTS = 32
_WHOLE = WindowConfig(size=10**9, stride=10**9)
# A reader that is trained finds some spans more than there are, while one that has hardly begun
# takes every word for one.
_FOUND_PER_GOLD = 1.5


class ReaderKind:
    """Opens and ends a reader run in a scratch folder.

    Args:
        config: Settings of the run.
        folder: Scratch folder.
    """

    def __init__(self, config: ReaderTraining, folder: Path) -> None:
        # The run will not make anew what it made, which takes minutes over a large knowledge base.
        self.config = replace(standing_already(config), out=str(folder / "run"))

    def open(self) -> OpenRun:
        """Read what the run starts from.

        Returns:
            The run.
        """
        return open_reader_run(self.config)

    def end(self) -> EndCost:
        """Export the reader; annotate some development texts.

        Returns:
            Cost of the whole end.
        """
        began = time.monotonic()
        made = build_bundle(replace(self.config, calibration=CalibrationTraining()))
        bundle = Path(str(made["bundle"]))
        size = folder_bytes(bundle)
        calibration = self.config.calibration
        if not calibration.sources:
            return EndCost(seconds=time.monotonic() - began, bundle_bytes=size)
        examples = read_examples(
            calibration.sources,
            data=Path(self.config.data),
            titles=self.config.titles,
            entities=Records.read(Path(self.config.knowledge) / "entities.jsonl"),
            windows=_WHOLE,
        )
        pipeline = open_bundle(bundle, verify=False).pipeline()
        fixed = time.monotonic() - began
        return EndCost(seconds=fixed + annotating_seconds(pipeline, examples), bundle_bytes=size)


def annotating_seconds(pipeline: Pipeline, examples: Sequence[Example]) -> float:
    """Tell how long a reader that is trained would annotate texts, from one that is not.

    Args:
        pipeline: Has the reader that is not.
        examples: Whole documents with their mentions.

    Returns:
        Seconds for all.
    """
    chosen = sample_documents(examples, _DOCUMENTS, seed=0, document=id)
    if not chosen:
        return 0.0
    first = chosen[: len(chosen) // 4 + 1]
    loose = AnnotateOptions(threshold=0.0, relation_threshold=1.0, nil=True)
    found = pipeline.annotate(_documents(first), options=loose)
    scores = sorted((span.score for each in found for span in each.spans), reverse=True)
    wanted = int(sum(len(example.mentions) for example in first) * _FOUND_PER_GOLD)
    strict = replace(loose, threshold=scores[wanted] if wanted < len(scores) else 0.0)
    began = time.monotonic()
    pipeline.annotate(_documents(chosen), options=strict)
    seconds = time.monotonic() - began
    letters = [sum(len(example.text) for example in part) for part in (chosen, examples)]
    return seconds * letters[1] / max(1, letters[0])


def _documents(examples: Sequence[Example]) -> list[Document]:
    return [Document(doc_id=example.doc_id, text=example.text) for example in examples]
