"""`relik train reader`: from annotated text and a retriever to a reader."""

import dataclasses
import hashlib
from pathlib import Path

import torch
from tokenizers import Tokenizer

from relik.backends import WordEmbeddings
from relik.bundle import LAYOUT
from relik.config import PipelineConfig, read_toml
from relik.kb import KnowledgeBase
from relik.manifest import MANIFEST
from relik.reader.inputs import MarkerLayout
from relik.reader.model import HeadConfig, ReaderModel
from relik.retriever.encoder import open_encoder
from relik.retriever.hybrid import HybridRetriever
from relik_training.backbone import Backbone, open_backbone
from relik_training.examples import read_examples
from relik_training.held_out import without_held_out
from relik_training.reader import ReaderModule, ReaderRates
from relik_training.reader_data import ReaderData
from relik_training.recipes import ReaderTraining, check_inputs
from relik_training.records import Records
from relik_training.run_files import begin
from relik_training.runs import run_steps, write_weights

TOKEN_TYPES = 4


def train_reader(config: ReaderTraining) -> Path:
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
    # Heads and markers are drawn: the same way each time.
    torch.manual_seed(config.seed)
    backbone = open_backbone(
        config.backbone, token_types=TOKEN_TYPES, hidden_dropout=config.hidden_dropout
    )
    begin(out, config)
    layout = MarkerLayout.of(
        backbone.tokenizer, n_entities=config.n_entities, n_relations=config.n_relations
    )
    data = _data(config, layout, backbone.tokenizer)
    heads = HeadConfig(
        hidden_size=backbone.layers.config.hidden_size,
        linears_hidden_size=config.linears_hidden_size,
        layer_norm_eps=backbone.layers.config.layer_norm_eps,
    )
    module = _module(config, backbone, heads, layout)
    run_steps(module, data, config)
    about = {
        "kind": "reader",
        "backbone": backbone.layers.config.to_diff_dict(),
        "heads": dataclasses.asdict(heads),
        "markers": {"n_entities": layout.n_entities, "n_relations": layout.n_relations},
    }
    write_weights(module.model, out, about)
    return out


def _module(
    config: ReaderTraining, backbone: Backbone, heads: HeadConfig, layout: MarkerLayout
) -> ReaderModule:
    # The table as it will be served, so that training sees its rounding.
    table = WordEmbeddings.open(Path(config.base) / LAYOUT.word_embeddings).dense()
    return ReaderModule(
        ReaderModel(backbone.layers, heads, n_markers=layout.size),
        torch.from_numpy(table),
        rates=ReaderRates(
            learning_rate=config.learning_rate,
            head_learning_rate=config.head_learning_rate,
            layer_decay=config.layer_decay,
            warmup_steps=config.warmup_steps,
            max_steps=config.max_steps,
        ),
        seed=config.seed,
    )


def _data(config: ReaderTraining, layout: MarkerLayout, tokenizer: Tokenizer) -> ReaderData:
    base = Path(config.base)
    examples = read_examples(
        without_held_out(config),
        data=Path(config.data),
        titles=config.titles,
        entities=Records.read(Path(config.knowledge) / "entities.jsonl"),
        windows=config.windows,
    )
    settings = read_toml(PipelineConfig, base / LAYOUT.pipeline)
    encoder = open_encoder(base, "onnx")
    entity_kb = KnowledgeBase.open(base / LAYOUT.entities)
    relation_kb = KnowledgeBase.open(base / LAYOUT.relations)
    return ReaderData(
        examples,
        tokenizer=tokenizer,
        layout=layout,
        entities=(entity_kb, HybridRetriever(encoder, entity_kb, settings.retriever)),
        relations=(
            relation_kb,
            HybridRetriever(encoder, relation_kb, settings.retriever, lexical=False),
        ),
        sampling=config.sampling,
        cache=Path(config.out) / f"candidates-{_fingerprint(base)}.safetensors",
    )


def _fingerprint(base: Path) -> str:
    """Tell one base from another, so that candidates of one are not taken for another's."""
    digest = hashlib.sha256()
    for name in (MANIFEST, LAYOUT.pipeline, f"{LAYOUT.entities}/{MANIFEST}"):
        path = base / name
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()[:12]
