"""`relik train reader`: from annotated text and a retriever to a reader."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from relik.backends import WordEmbeddings
from relik.config import PipelineConfig, WindowConfig, read_toml
from relik.kb import KnowledgeBase
from relik.reader.inputs import MarkerLayout
from relik.reader.model import HeadConfig, ReaderModel
from relik.retriever.encoder import open_encoder
from relik.retriever.hybrid import HybridRetriever
from relik_training.backbone import open_backbone
from relik_training.batches import StepBatches, plan_batches
from relik_training.examples import Example, read_examples
from relik_training.files import read_jsonl, write_jsonl
from relik_training.reader import ReaderModule
from relik_training.reader_data import ReaderData, ReaderSampling
from relik_training.records import Records
from relik_training.runs import fit, write_weights

TOKEN_TYPES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderTraining:
    """Settings of a reader run.

    Args:
        backbone: Pretrained weights; see `relik_training.backbone.resolve`.
        data: Folder of the data sets.
        knowledge: Folder with entities.jsonl and relations.jsonl.
        base: Folder with shared/, query_encoder/, entities/, relations/ and pipeline.toml, as
            the retriever run leaves it.
        sources: Data sets, tables as `SourceConfig`.
        titles: File of `title, id` that maps page titles to entities; empty for none.
        out: Folder of the run.
        windows: How texts are split.
        sampling: How candidates are drawn.
        linears_hidden_size: Width inside the heads.
        n_entities: Entity markers.
        n_relations: Relation markers.
        batch_size: Windows per step.
        max_steps: Steps.
        warmup_steps: Steps of warm-up.
        learning_rate: Peak rate of the top layer.
        head_learning_rate: Peak rate of heads and markers.
        layer_decay: Factor of the rate from each layer to the one below.
        held_out: Share of windows of each relation kept out of training, for measuring.
        held_out_source: The data set of which that share is kept out.
        checkpoint_steps: Steps between checkpoints.
        precision: Lightning precision or "auto".
        seed: Seed of everything.
    """

    backbone: str
    data: str
    knowledge: str
    base: str
    sources: tuple[dict[str, object], ...]
    titles: str = ""
    out: str = "runs/reader"
    windows: WindowConfig = field(default_factory=WindowConfig)
    sampling: ReaderSampling = field(default_factory=ReaderSampling)
    linears_hidden_size: int = 256
    n_entities: int = 100
    n_relations: int = 50
    batch_size: int = 16
    max_steps: int = 1300
    warmup_steps: int = 60
    learning_rate: float = 1.5e-4
    head_learning_rate: float = 5e-4
    layer_decay: float = 0.9
    held_out: float = 0.1
    held_out_source: str = ""
    checkpoint_steps: int = 100
    precision: str = "auto"
    seed: int = 13


def train_reader(config: ReaderTraining) -> Path:
    """Run the training.

    Args:
        config: Settings.

    Returns:
        Folder with model.safetensors, config.json and the resolved settings.
    """
    out, base = Path(config.out), Path(config.base)
    out.mkdir(parents=True, exist_ok=True)
    (out / "resolved.json").write_text(json.dumps(dataclasses.asdict(config), indent=1))
    if config.held_out_source:
        hold_out(config)
    backbone = open_backbone(config.backbone, token_types=TOKEN_TYPES)
    layout = MarkerLayout.of(
        backbone.tokenizer, n_entities=config.n_entities, n_relations=config.n_relations
    )
    data = _data(config, base, layout, backbone.tokenizer)
    heads = HeadConfig(
        hidden_size=backbone.layers.config.hidden_size,
        linears_hidden_size=config.linears_hidden_size,
        layer_norm_eps=backbone.layers.config.layer_norm_eps,
    )
    model = ReaderModel(backbone.layers, heads, n_markers=layout.size)
    # The table as it will be served, so that training sees its rounding.
    table = WordEmbeddings.open(base / "shared" / "word_embeddings.safetensors").dense()
    module = ReaderModule(
        model,
        torch.from_numpy(table),
        learning_rate=config.learning_rate,
        head_learning_rate=config.head_learning_rate,
        layer_decay=config.layer_decay,
        warmup_steps=config.warmup_steps,
        max_steps=config.max_steps,
        seed=config.seed,
    )
    plan = plan_batches(data.lengths, config.batch_size, config.max_steps, seed=config.seed)
    batches = StepBatches(
        lambda step: data.batch(plan[step], step), config.max_steps, lambda: module.global_step
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
        model,
        out,
        {
            "kind": "reader",
            "backbone": backbone.layers.config.to_diff_dict(),
            "heads": dataclasses.asdict(heads),
            "markers": {"n_entities": layout.n_entities, "n_relations": layout.n_relations},
        },
    )
    return out


def hold_out(config: ReaderTraining) -> tuple[Path, Path]:
    """Split a relation data set, the same share of every relation, by the seed.

    Args:
        config: Settings; `held_out_source` names the file.

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
    held: set[int] = set()
    for key in sorted(by_relation):
        numbers = by_relation[key]
        take = round(len(numbers) * config.held_out)
        held.update(int(n) for n in rng.choice(numbers, take, replace=False))
    train, test = Path(config.out) / f"train-{name}", Path(config.out) / f"held-out-{name}"
    write_jsonl(train, (row for i, row in enumerate(rows) if i not in held))
    write_jsonl(test, (row for i, row in enumerate(rows) if i in held))
    return train, test


def _data(
    config: ReaderTraining, base: Path, layout: MarkerLayout, tokenizer: object
) -> ReaderData:
    entities = Records.read(Path(config.knowledge) / "entities.jsonl")
    sources = tuple(
        {**table, "path": str(Path(config.out).resolve() / f"train-{table['path']}")}
        if table["path"] == config.held_out_source
        else table
        for table in config.sources
    )
    examples: list[Example] = read_examples(
        sources,
        data=Path(config.data),
        titles=config.titles,
        entities=entities,
        windows=config.windows,
    )
    settings = read_toml(PipelineConfig, base / "pipeline.toml")
    encoder = open_encoder(base, "onnx")
    entity_kb = KnowledgeBase.open(base / "entities")
    relation_kb = KnowledgeBase.open(base / "relations")
    return ReaderData(
        examples,
        tokenizer=tokenizer,  # type: ignore[arg-type]  # the backbone's tokenizer
        layout=layout,
        entities=(entity_kb, HybridRetriever(encoder, entity_kb, settings.retriever)),
        relations=(
            relation_kb,
            HybridRetriever(encoder, relation_kb, settings.retriever, lexical=False),
        ),
        sampling=config.sampling,
    )
