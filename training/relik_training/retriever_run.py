"""`relik train retriever`: from annotated text and a knowledge base to an encoder."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from relik.config import WindowConfig
from relik.retriever.model import EncoderModel
from relik_training.backbone import open_backbone
from relik_training.batches import StepBatches, plan_batches
from relik_training.examples import Example, read_examples
from relik_training.records import Records
from relik_training.retriever import RetrieverModule
from relik_training.retriever_data import RetrieverData
from relik_training.runs import fit, write_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieverTraining:
    """Settings of a retriever run.

    Args:
        backbone: Pretrained weights; see `relik_training.backbone.resolve`.
        data: Folder of the data sets.
        knowledge: Folder with entities.jsonl and relations.jsonl.
        titles: File of `title, id` that maps page titles to entities; empty for none.
        sources: Data sets, tables as `SourceConfig`.
        out: Folder of the run.
        windows: How texts are split.
        max_tokens: Tokens of a window.
        passage_tokens: Tokens of a record.
        batch_size: Windows per step.
        max_steps: Steps.
        warmup_steps: Steps of warm-up.
        learning_rate: Peak learning rate.
        temperature: Divides cosines.
        hard_negatives: Namesakes per mention-bearing window.
        name_dropout: Share of passages without their name.
        max_examples: Windows to keep, 0 for all.
        checkpoint_steps: Steps between checkpoints.
        precision: Lightning precision or "auto".
        seed: Seed of everything.
    """

    backbone: str
    data: str
    knowledge: str
    sources: tuple[dict[str, object], ...]
    titles: str = ""
    out: str = "runs/retriever"
    windows: WindowConfig = field(default_factory=WindowConfig)
    max_tokens: int = 128
    passage_tokens: int = 24
    batch_size: int = 32
    max_steps: int = 400
    warmup_steps: int = 40
    learning_rate: float = 5e-5
    temperature: float = 0.05
    hard_negatives: int = 4
    name_dropout: float = 0.1
    max_examples: int = 0
    checkpoint_steps: int = 50
    precision: str = "auto"
    seed: int = 13


def train_retriever(config: RetrieverTraining) -> Path:
    """Run the training.

    Args:
        config: Settings.

    Returns:
        Folder with model.safetensors, config.json and the resolved settings.
    """
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "resolved.json").write_text(json.dumps(dataclasses.asdict(config), indent=1))
    knowledge = Path(config.knowledge)
    entities = Records.read(knowledge / "entities.jsonl")
    relations = Records.read(knowledge / "relations.jsonl")
    examples = read_examples(
        config.sources,
        data=Path(config.data),
        titles=config.titles,
        entities=entities,
        windows=config.windows,
    )
    backbone = open_backbone(config.backbone)
    data = RetrieverData(
        _sample(examples, config.max_examples, config.seed),
        entities,
        relations,
        backbone.tokenizer,
        max_tokens=config.max_tokens,
        passage_tokens=config.passage_tokens,
        hard_negatives=config.hard_negatives,
        name_dropout=config.name_dropout,
        seed=config.seed,
    )
    module = RetrieverModule(
        EncoderModel(backbone.layers),
        backbone.embeddings,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_steps,
        max_steps=config.max_steps,
        temperature=config.temperature,
        seed=config.seed,
    )
    plan = plan_batches(data.lengths, config.batch_size, config.max_steps, seed=config.seed)
    batches = StepBatches(
        lambda step: data.batch(plan[step], step),
        config.max_steps,
        lambda: module.global_step,
    )
    fit(
        module,
        batches,
        out=out,
        max_steps=config.max_steps,
        checkpoint_steps=config.checkpoint_steps,
        precision=config.precision,
    )
    write_weights(
        module.model,
        out,
        {
            "kind": "encoder",
            "backbone": backbone.layers.config.to_diff_dict(),
            "max_tokens": config.max_tokens,
        },
    )
    return out


def _sample(examples: list[Example], limit: int, seed: int) -> list[Example]:
    if not limit or len(examples) <= limit:
        return examples
    import numpy as np

    chosen = np.random.default_rng(seed).choice(len(examples), limit, replace=False)
    return [examples[i] for i in sorted(chosen)]
