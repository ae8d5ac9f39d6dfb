"""`relik train retriever`: from annotated text and a knowledge base to an encoder."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from relik.errors import ConfigError
from relik.models.encoder_module import EncoderModel
from relik_training.augment.augmentation import with_copies
from relik_training.data.examples import Example, read_examples
from relik_training.data.held_out import without_held_out
from relik_training.data.knowledge import ensure_knowledge
from relik_training.data.knowledge_records import Records
from relik_training.distill.encoder_losses import open_retriever_distiller
from relik_training.export.files import LEFT_OUT
from relik_training.recipes.recipe import RetrieverTraining
from relik_training.retriever.mining import MiningSource, encode_rows
from relik_training.retriever.retriever_bundle import base_cost, build_base
from relik_training.retriever.retriever_data import RetrieverData
from relik_training.retriever.retriever_module import Objective, RetrieverModule
from relik_training.retriever.retriever_scores import open_retriever_f1
from relik_training.run.backbone import Backbone, about_encoder, open_backbone
from relik_training.run.batches import BatchSource
from relik_training.run.best_weights import Measure, split_apart
from relik_training.run.costs import EndCost
from relik_training.run.lora import adapt
from relik_training.run.trainer import OpenRun, load_weights, plan_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieverRun:
    """A run of the retriever: from annotated text and a knowledge base to a base bundle."""

    config: RetrieverTraining

    def open(self) -> OpenRun:
        """Open weights, entities and relations, annotated windows.

        The split of `held_out_source` goes to `config.out`. Entities and relations are made where
        they are absent.

        Raises:
            ConfigError: The backbone or a file is missing, or a length is not one of its vectors.
        """
        config = self.config
        # New parameters, where a backbone needs some, are drawn the same way each time.
        torch.manual_seed(config.seed)
        backbone = open_backbone(
            config.backbone,
            attention_dropout=config.attention_dropout,
            hidden_dropout=config.hidden_dropout,
        )
        # Pretrained models are opened for use, that is without dropout.
        backbone.layers.train()
        _check(config, backbone)
        knowledge = ensure_knowledge(config.knowledge, Path(config.data))
        entities = Records.read(knowledge / "entities.jsonl")
        module = _module(config, backbone)
        mining = config.mining

        examples, apart = split_apart(
            _examples(config, entities), config.evaluation.share, config.seed
        )

        def ready(chosen: Sequence[Example]) -> BatchSource:
            data = _data(config, backbone.tokenizer, entities, chosen)
            return _mined(module, data, config) if mining.negatives else data

        def evaluation() -> Measure | None:
            data = _data(config, backbone.tokenizer, entities, apart)
            most, precision = config.evaluation.windows, config.precision
            return open_retriever_f1(module, data, most=most, precision=precision)

        return OpenRun(
            module=module,
            examples=examples,
            ready=ready,
            evaluation=evaluation,
            about=about_encoder(backbone.layers, config.max_tokens),
            pauses=math.ceil(config.max_steps / mining.every) if mining.negatives else 0,
        )

    def end(self) -> dict[str, object]:
        """Make the base bundle: export, index, fit the fusion."""
        return build_base(self.config)

    def aside(self, folder: Path) -> "RetrieverRun":
        """Give the same run in a scratch folder, which gets what is absent of the knowledge."""
        knowledge = self.config.knowledge
        if not (Path(knowledge.out) / "relations.jsonl").is_file():
            knowledge = replace(knowledge, out=str(folder / "knowledge"))
        return RetrieverRun(
            config=replace(self.config, out=str(folder / "run"), knowledge=knowledge)
        )

    def end_cost(self) -> EndCost:
        """Build two small bases, to see what entities cost; fit the fusion on some windows."""
        return base_cost(self.config)


def _module(config: RetrieverTraining, backbone: Backbone) -> RetrieverModule:
    module = RetrieverModule(
        EncoderModel(backbone.layers),
        backbone.embeddings,
        settings=config,
        objective=Objective(
            temperature=config.temperature, matryoshka=config.matryoshka, chunk=config.chunk
        ),
    )
    if config.start:
        load_weights(module.model, Path(config.start), without=LEFT_OUT)
    adapt(backbone.layers, config.lora)
    module.distiller = open_retriever_distiller(backbone.embeddings.shape[1], config.distillation)
    return module


def _check(config: RetrieverTraining, backbone: Backbone) -> None:
    width = backbone.embeddings.shape[1]
    for dim in (*config.matryoshka, *([config.index.dim] if config.index.dim else [])):
        if not 1 <= dim <= width:
            raise ConfigError(
                f"got a vector of length {dim}, expected 1 to {width}, which is that of "
                f"{config.backbone}: change matryoshka or [index] dim"
            )


def _mined(module: RetrieverModule, data: RetrieverData, config: RetrieverTraining) -> MiningSource:
    source = MiningSource(
        data,
        plan_steps(data, config),
        options=config.mining,
        encode=partial(encode_rows, module, precision=config.precision),
        seed=config.seed,
    )
    module.kept = source
    return source


def _examples(config: RetrieverTraining, entities: Records) -> Sequence[Example]:
    examples = read_examples(
        without_held_out(config),
        data=Path(config.data),
        titles=config.titles,
        entities=entities,
        windows=config.windows,
    )
    kept = _sample(examples, config.max_examples, config.seed)
    path = Path(config.knowledge.out) / "entities.jsonl"
    return with_copies(kept, path, entities, config.augmentation, seed=config.seed)


def _data(
    config: RetrieverTraining, tokenizer: Tokenizer, entities: Records, examples: Sequence[Example]
) -> RetrieverData:
    return RetrieverData(
        examples,
        knowledge=(entities, Records.read(Path(config.knowledge.out) / "relations.jsonl")),
        tokenizer=tokenizer,
        sampling=config,
    )


def _sample(examples: Sequence[Example], limit: int, seed: int) -> Sequence[Example]:
    if not limit or len(examples) <= limit:
        return examples
    chosen = np.random.default_rng(seed).choice(len(examples), limit, replace=False)
    return [examples[i] for i in sorted(chosen)]
