"""The retriever's part of a plan: its end builds the indexes and fits the fusion."""

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from relik.config import read_pipeline
from relik.kb import KnowledgeBase
from relik.layout import LAYOUT
from relik.retriever.encoder import open_encoder
from relik.retriever.hybrid import HybridRetriever
from relik_training.data.examples import read_examples
from relik_training.data.held_out import without_held_out
from relik_training.data.json_lines import read_jsonl, write_jsonl
from relik_training.data.knowledge_records import Records
from relik_training.plan.plan_fit import EndCost, sample_documents, straight_line
from relik_training.plan.plan_size import resident_bytes
from relik_training.recipes.recipe import RetrieverTraining
from relik_training.recipes.retriever_settings import FusionTraining
from relik_training.retriever.fusion import fit_fusion
from relik_training.retriever.retriever_bundle import build_base
from relik_training.retriever.retriever_run import open_retriever_run
from relik_training.run.metrics import folder_bytes
from relik_training.run.trainer import OpenRun

# Entities of the two indexes that are built; quantisation needs some hundreds to learn from.
_SMALL, _LARGE = 1500, 4500
_WINDOWS = 192


class RetrieverKind:
    """Opens and ends a retriever run in a scratch folder.

    Args:
        config: Settings of the run. Where entities and relations are absent, they are made in the
            scratch folder.
        folder: Scratch folder.
    """

    def __init__(self, config: RetrieverTraining, folder: Path) -> None:
        self._folder = folder
        knowledge = config.knowledge
        if not (Path(knowledge.out) / "relations.jsonl").is_file():
            knowledge = replace(knowledge, out=str(folder / "knowledge"))
        self.config = replace(config, out=str(folder / "run"), knowledge=knowledge)

    def open(self) -> OpenRun:
        """Read what the run starts from.

        Returns:
            The run.
        """
        return open_retriever_run(self.config)

    def end(self) -> EndCost:
        """Build two small bases, to see what entities cost; fit the fusion on some windows.

        Returns:
            Cost of the whole end.
        """
        entities = Path(self.config.knowledge.out) / "entities.jsonl"
        whole = sum(1 for _ in read_jsonl(entities))
        resident = resident_bytes()
        small = large = self._build(min(_SMALL, whole))
        if whole > _SMALL:
            large = self._build(min(_LARGE, whole))
        fitting = self._fitting_seconds()

        def at_whole(figure: int) -> float:
            return straight_line((small[0], small[figure]), (large[0], large[figure]), whole)

        # The vectors of all entities are in memory at once, and once more while they are learned
        # from; what else an entity needs was seen.
        vectors = 8 * self._dim() * (whole - large[0])
        return EndCost(
            seconds=at_whole(1) + fitting,
            bundle_bytes=round(at_whole(2)),
            memory_bytes=vectors + round(max(0.0, large[3] - resident)),
        )

    def _build(self, size: int) -> tuple[int, float, float, float]:
        """Build the base of the first entities: how many, seconds, bytes, memory."""
        source = Path(self.config.knowledge.out)
        part = self._folder / f"knowledge-{size}"
        write_jsonl(part / "entities.jsonl", _first(source / "entities.jsonl", size))
        write_jsonl(part / "relations.jsonl", read_jsonl(source / "relations.jsonl"))
        config = replace(
            self.config,
            knowledge=replace(self.config.knowledge, out=str(part)),
            fusion=FusionTraining(),
        )
        began = time.monotonic()
        build_base(config)
        seconds = time.monotonic() - began
        return size, seconds, folder_bytes(self._bundle), resident_bytes()

    def _fitting_seconds(self) -> float:
        if not self.config.fusion.sources:
            return 0.0
        began = time.monotonic()
        examples = read_examples(
            without_held_out(self.config, self.config.fusion.sources),
            data=Path(self.config.data),
            titles=self.config.titles,
            entities=Records.read(Path(self.config.knowledge.out) / "entities.jsonl"),
            windows=self.config.windows,
        )
        settings = read_pipeline(self._bundle / LAYOUT.pipeline)
        kb = KnowledgeBase.open(self._bundle / LAYOUT.entities)
        retriever = HybridRetriever(open_encoder(self._bundle, "auto"), settings.retriever)
        chosen = sample_documents(examples, _WINDOWS, seed=0, document=lambda each: each.doc_id)
        opened = time.monotonic()
        fit_fusion(chosen, retriever, kb)
        fitted = time.monotonic() - opened
        return opened - began + fitted * len(examples) / len(chosen)

    def _dim(self) -> int:
        return open_encoder(self._bundle, "auto").dim

    @property
    def _bundle(self) -> Path:
        return Path(self.config.out) / "bundle"


def _first(path: Path, count: int) -> Iterator[dict[str, object]]:
    return islice(read_jsonl(path), count)
