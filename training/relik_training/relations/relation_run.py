"""`relik train relations`: from annotated text to an encoder that relates pairs of mentions."""

import dataclasses
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from relik.config import PipelineConfig
from relik.errors import ConfigError
from relik.layout import LAYOUT
from relik.models.encoder_module import EncoderModel
from relik.retriever.pairs import TEMPERATURE
from relik.types import Entity
from relik_training.data.examples import ExampleReader
from relik_training.data.json_lines import read_jsonl, write_jsonl
from relik_training.data.knowledge_records import Records
from relik_training.export import export_shared
from relik_training.recipes.bundle_settings import write_changed
from relik_training.recipes.relation_settings import RelationTraining
from relik_training.relations.relation_bundle import (
    RELATIONS,
    TEXTS,
    build_relation_bundle,
)
from relik_training.relations.relation_data import RelatedPair, RelationData, at_most, pairs_of
from relik_training.relations.unseen import LeftOut, draw_unseen, texts_of, without_relations
from relik_training.retriever.retriever_module import Objective, RetrieverModule
from relik_training.retriever.retriever_scores import open_encoder_f1
from relik_training.run.backbone import about_encoder, open_backbone
from relik_training.run.best_weights import Measure, split_apart
from relik_training.run.costs import EndCost
from relik_training.run.metrics import folder_bytes
from relik_training.run.run_files import BASE
from relik_training.run.trainer import OpenRun

# Texts that are measured for a plan.
_SAMPLE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationRun:
    """A run of an encoder of relations: from annotated text to a measured bundle.

    Args:
        config: Settings; `out` is the folder of this run.
    """

    config: RelationTraining

    def open(self) -> OpenRun:
        """Open weights and related pairs.

        What is measured goes to `out`, and the part of the bundle that is not trained to
        `out/base`.

        Raises:
            ConfigError: The backbone is missing, or a relation has no record.
        """
        config = self.config
        torch.manual_seed(config.seed)
        backbone = open_backbone(config.backbone, hidden_dropout=config.hidden_dropout)
        # Pretrained models are opened for use, that is without dropout.
        backbone.layers.train()
        left_out = draw_unseen(config.unseen, Path(config.data))
        records = Records.read(Path(config.data) / config.relations).entities
        write_measured(config, left_out.measured, records)
        base = Path(config.out) / BASE
        base.mkdir(parents=True, exist_ok=True)
        export_shared(backbone.tokenizer, backbone.embeddings.numpy(), base)
        settings = PipelineConfig(model=config.model, windows=config.windows)
        write_changed(settings, config, base / LAYOUT.pipeline)
        seen = [each for each in records if each.entity_id not in left_out.all]
        module = RetrieverModule(
            EncoderModel(backbone.layers),
            backbone.embeddings,
            settings=config,
            objective=Objective(temperature=TEMPERATURE),
        )
        examples, apart = split_apart(
            list(_pairs(config, left_out)), config.evaluation.share, config.seed
        )

        def ready(pairs: Sequence[RelatedPair]) -> RelationData:
            return RelationData(
                pairs, relations=seen, tokenizer=backbone.tokenizer, sampling=config.sampling
            )

        def evaluation() -> Measure | None:
            texts, relations, right = ready(apart).answers(config.evaluation.windows)
            precision = config.precision
            if not texts:
                return None
            return open_encoder_f1(module, texts, relations, right=right, precision=precision)

        return OpenRun(
            module=module,
            examples=examples,
            ready=ready,
            evaluation=evaluation,
            about=about_encoder(backbone.layers, config.sampling.max_tokens),
        )

    def end(self) -> dict[str, object]:
        """Make the bundle: export, index the relations that were left out, measure."""
        return build_relation_bundle(self.config)

    def aside(self, folder: Path) -> "RelationRun":
        """Give the same run in a scratch folder."""
        return RelationRun(config=dataclasses.replace(self.config, out=str(folder / "run")))

    def end_cost(self) -> EndCost:
        """Make the bundle, measured on one text and then on some more."""
        texts = Path(self.config.out) / TEXTS
        rows = list(read_jsonl(texts)) if texts.is_file() else []
        seconds = []
        for count in (1, 1 + min(_SAMPLE, len(rows))):
            if rows:
                write_jsonl(texts, rows[:count])
            began = time.monotonic()
            made = self.end()
            seconds.append(time.monotonic() - began)
        one = max(0.0, seconds[1] - seconds[0]) / max(1, min(_SAMPLE, len(rows)))
        return EndCost(
            seconds=seconds[0] + one * len(rows),
            bundle_bytes=folder_bytes(Path(str(made["bundle"]))),
        )


def write_measured(
    config: RelationTraining, relations: Sequence[str], records: Iterable[Entity]
) -> None:
    """Write the relations that are measured, and the texts to measure on.

    Args:
        config: Settings; the records go to `out/relations.jsonl`, and, where relations are drawn,
            all texts with one of them to `out/unseen.jsonl.gz`.
        relations: Ids of relations that are not trained on.
        records: Records of relations.

    Raises:
        ConfigError: A relation has no record.
    """
    known = {each.entity_id: each for each in records}
    missing = next((one for one in relations if one not in known), None)
    if missing is not None:
        raise ConfigError(
            f"{config.relations}: has no relation {missing!r}, which [unseen] has: add it"
        )
    out = Path(config.out)
    write_jsonl(out / RELATIONS, (_record(known[one]) for one in relations))
    if config.unseen.source:
        source = Path(config.data) / config.unseen.source
        write_jsonl(out / TEXTS, texts_of(source, frozenset(relations)))


def _pairs(config: RelationTraining, left_out: LeftOut) -> Iterator[RelatedPair]:
    # Whatever is a mention may be an end; what it is linked to is not asked.
    reader = ExampleReader(
        known=lambda _: True,
        title_id=lambda _: None,
        unambiguous=lambda _: None,
        windows=config.windows,
    )
    for source in config.sources:
        examples = reader.read(dataclasses.replace(source, links=False), Path(config.data))
        pairs = list(pairs_of(without_relations(examples, left_out.all)))
        yield from at_most(pairs, config.sampling.most, config.seed)


def _record(relation: Entity) -> dict[str, object]:
    return {
        "id": relation.entity_id,
        "name": relation.name,
        "aliases": list(relation.aliases),
        "description": relation.description,
    }
