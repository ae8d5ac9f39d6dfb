"""`relik train retriever`: from annotated text and a knowledge base to an encoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from relik.retriever.model import EncoderModel
from relik_training.backbone import open_backbone
from relik_training.examples import Example, read_examples
from relik_training.held_out import without_held_out
from relik_training.knowledge import ensure_knowledge
from relik_training.recipes import RetrieverTraining, check_inputs
from relik_training.records import Records
from relik_training.retriever import RetrieverModule
from relik_training.retriever_data import RetrieverData, RetrieverSampling
from relik_training.run_files import begin
from relik_training.runs import run_steps, write_weights


def train_retriever(config: RetrieverTraining) -> Path:
    """Run the training, from the last checkpoint where there is one.

    Args:
        config: Settings.

    Returns:
        Folder with model.safetensors, config.json and the resolved settings.

    Raises:
        ConfigError: A file or the backbone is missing, or the folder has a run with other
            settings.
    """
    check_inputs(config)
    out = Path(config.out)
    # New parameters, where a backbone needs some, are drawn the same way each time.
    torch.manual_seed(config.seed)
    backbone = open_backbone(config.backbone, attention_dropout=config.attention_dropout)
    begin(out, config)
    ensure_knowledge(config.knowledge, Path(config.data))
    data = _data(config, backbone.tokenizer)
    module = RetrieverModule(
        EncoderModel(backbone.layers),
        backbone.embeddings,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_steps,
        max_steps=config.max_steps,
        temperature=config.temperature,
        seed=config.seed,
    )
    run_steps(module, data, config)
    about = {
        "kind": "encoder",
        "backbone": backbone.layers.config.to_diff_dict(),
        "max_tokens": config.max_tokens,
    }
    write_weights(module.model, out, about)
    return out


def _data(config: RetrieverTraining, tokenizer: Tokenizer) -> RetrieverData:
    knowledge = Path(config.knowledge.out)
    entities = Records.read(knowledge / "entities.jsonl")
    examples = read_examples(
        without_held_out(config),
        data=Path(config.data),
        titles=config.titles,
        entities=entities,
        windows=config.windows,
    )
    return RetrieverData(
        _sample(examples, config.max_examples, config.seed),
        knowledge=(entities, Records.read(knowledge / "relations.jsonl")),
        tokenizer=tokenizer,
        sampling=RetrieverSampling(
            max_tokens=config.max_tokens,
            passage_tokens=config.passage_tokens,
            hard_negatives=config.hard_negatives,
            name_dropout=config.name_dropout,
            relation_negatives=config.relation_negatives,
            seed=config.seed,
        ),
    )


def _sample(examples: Sequence[Example], limit: int, seed: int) -> Sequence[Example]:
    if not limit or len(examples) <= limit:
        return examples
    chosen = np.random.default_rng(seed).choice(len(examples), limit, replace=False)
    return [examples[i] for i in sorted(chosen)]
