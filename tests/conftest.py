"""Settings for every test, and a tiny model that those of backends, encoder and export share.

The same examples in CI each time, and no deadline on a busy machine. The model is two random
layers written with numpy, so that all but the comparison with torch is tested on a plain install.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from relik.bundle import Bundle, open_bundle
from relik.layout import KIND, LAYOUT
from relik.manifest import write_manifest
from relik.pipeline import Pipeline
from relik.retriever.encoder import open_encoder
from relik_index import build_index

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

WIDTH, INNER, LAYERS, POSITIONS, HEAD_WIDTH = 32, 64, 2, 48, 16
BACKBONE = {
    "model_type": "bert",
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "max_position_embeddings": POSITIONS,
    "type_vocab_size": 4,
    "vocab_size": 40,
}

BERT_WORDS = """[PAD] [UNK] [CLS] [SEP] [MASK] . , [ ] - ada lovelace paris hilton texas berlin
france the capital of was born in a writer ##s city mask sep nme e r 0 1 2 3 bank river and 日"""
PIPELINE = """model = "tiny"
[windows]
size = 12
stride = 8
[retriever]
entity_top_k = 5
relation_top_k = 3
[reader]
max_tokens = 48
batch_tokens = 192
threshold = 0.1
relation_threshold = 0.5
"""
ENTITIES: list[dict[str, object]] = [
    {"id": "Q1", "name": "Paris", "description": "capital of France", "types": ["place"]},
    {"id": "Q2", "name": "Paris Hilton", "types": ["person"], "partials": ["Hilton", "Paris"]},
    {"id": "Q3", "name": "Paris, Texas", "description": "city", "types": ["place"]},
    {"id": "Q4", "name": "Ada Lovelace", "aliases": ["Ada"], "types": ["person"]},
    {"id": "Q5", "name": "Berlin", "surfaces": {"Berlin": 40}, "types": ["place"]},
    {"id": "Q6", "name": "bank", "description": "a river", "types": ["thing"]},
    *({"id": f"R{k}", "name": f"Record {k}", "types": ["thing"]} for k in range(24)),
]
RELATIONS: list[dict[str, object]] = [
    {"id": "P1", "name": "born in"},
    {"id": "P2", "name": "capital of"},
    {"id": "P3", "name": "writer"},
]


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Tokenizer:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{k}" for k in range(36))]
    vocabulary = {word: k for k, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


@pytest.fixture(scope="session")
def encoder_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished retriever run."""
    config = {"kind": "encoder", "backbone": BACKBONE, "max_tokens": 20}
    return _run(tmp_path_factory.mktemp("encoder"), _backbone_shapes(), config)


@pytest.fixture(scope="session")
def reader_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished reader run with 6 entity and 3 relation markers."""
    heads = {"hidden_size": WIDTH, "linears_hidden_size": HEAD_WIDTH, "activation": "gelu"}
    config = {
        "kind": "reader",
        "backbone": BACKBONE,
        "heads": heads | {"layer_norm_eps": 1e-12, "dropout": 0.1},
        "markers": {"n_entities": 6, "n_relations": 3},
    }
    shapes = _backbone_shapes() | _head_shapes() | {"markers": (10, WIDTH)}
    return _run(tmp_path_factory.mktemp("reader"), shapes, config)


@pytest.fixture(scope="session")
def word_table() -> np.ndarray:
    """Word embeddings for the tiny tokenizer."""
    return np.random.default_rng(3).normal(size=(40, WIDTH)).astype(np.float32)


@pytest.fixture(scope="session")
def tiny_models(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_tokenizer: Tokenizer,
    word_table: np.ndarray,
    encoder_run: Path,
    reader_run: Path,
) -> Path:
    """The model files of a bundle, exported from the tiny runs."""
    pytest.importorskip("onnx")
    from relik_training.export import export_encoder, export_reader, export_shared

    folder = tmp_path_factory.mktemp("bundle")
    export_shared(tiny_tokenizer, word_table, folder)
    export_encoder(encoder_run, folder)
    export_reader(reader_run, folder)
    return folder


@pytest.fixture(scope="session")
def bert_tokenizer() -> Tokenizer:
    """A tokenizer as a BERT has it: lower case, no accents, and special tokens that it knows."""
    words = BERT_WORDS.split()
    vocabulary = {word: k for k, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(words[:5])
    return tokenizer


@pytest.fixture(scope="session")
def tiny_bundle(
    tmp_path_factory: pytest.TempPathFactory,
    bert_tokenizer: Tokenizer,
    word_table: np.ndarray,
    encoder_run: Path,
    reader_run: Path,
) -> Bundle:
    """A whole bundle of the tiny models, 30 entities and 3 relations."""
    pytest.importorskip("onnx")
    from relik_training.export import export_encoder, export_reader, export_shared

    folder = tmp_path_factory.mktemp("tiny") / "bundle"
    export_shared(bert_tokenizer, word_table, folder)
    export_encoder(encoder_run, folder)
    export_reader(reader_run, folder)
    (folder / LAYOUT.pipeline).write_text(PIPELINE)
    write_manifest(folder, kind=KIND, fields={})
    fingerprint = open_bundle(folder).encoder_fingerprint
    for name, records in (("entities", ENTITIES), ("relations", RELATIONS)):
        source = folder.parent / f"{name}.jsonl"
        source.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        build_index(
            source,
            folder / name,
            encoder=open_encoder(folder, "onnx"),
            tokenizer=bert_tokenizer,
            encoder_fingerprint=fingerprint,
        )
    write_manifest(folder, kind=KIND, fields={})
    return open_bundle(folder)


@pytest.fixture(scope="session")
def tiny_pipeline(tiny_bundle: Bundle) -> Pipeline:
    """The pipeline of the tiny bundle. Its weights are random: it finds, but not what is meant."""
    return tiny_bundle.pipeline("onnx")


def _run(folder: Path, shapes: dict[str, tuple[int, ...]], config: dict[str, object]) -> Path:
    rng = np.random.default_rng(7)
    weights = {}
    for name, shape in shapes.items():
        drawn = rng.normal(size=shape).astype(np.float32)
        norm = "LayerNorm.weight" in name or name.endswith("5.weight")
        weights[name] = 1 + drawn / 10 if norm else drawn / np.sqrt(shape[-1])
    save_file({k: v.astype(np.float32) for k, v in weights.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _linear(name: str, inside: int, outside: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outside, inside), f"{name}.bias": (outside,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _backbone_shapes() -> dict[str, tuple[int, ...]]:
    table = "backbone.embeddings"
    shapes: dict[str, tuple[int, ...]] = {
        f"{table}.word_embeddings.weight": (1, WIDTH),
        f"{table}.position_embeddings.weight": (POSITIONS, WIDTH),
        f"{table}.token_type_embeddings.weight": (4, WIDTH),
        **_norm(f"{table}.LayerNorm", WIDTH),
    }
    for layer in (f"backbone.encoder.layer.{k}" for k in range(LAYERS)):
        for part in ("query", "key", "value"):
            shapes |= _linear(f"{layer}.attention.self.{part}", WIDTH, WIDTH)
        shapes |= _linear(f"{layer}.attention.output.dense", WIDTH, WIDTH)
        shapes |= _norm(f"{layer}.attention.output.LayerNorm", WIDTH)
        shapes |= _linear(f"{layer}.intermediate.dense", WIDTH, INNER)
        shapes |= _linear(f"{layer}.output.dense", INNER, WIDTH)
        shapes |= _norm(f"{layer}.output.LayerNorm", WIDTH)
    return shapes


def _head_shapes() -> dict[str, tuple[int, ...]]:
    shapes = _linear("ned_end_classifier.dense_0", 2 * WIDTH, WIDTH)
    shapes |= _norm("ned_end_classifier.LayerNorm", WIDTH)
    shapes |= _linear("ned_end_classifier.dense_1", WIDTH, 1)
    sizes = {
        "ned_start_classifier": (WIDTH, HEAD_WIDTH, 2),
        "ed_start_projector": (WIDTH, HEAD_WIDTH, HEAD_WIDTH),
        "ed_end_projector": (WIDTH, HEAD_WIDTH, HEAD_WIDTH),
        "re_projector": (2 * WIDTH, 2 * HEAD_WIDTH, 2 * HEAD_WIDTH),
        "re_relation_projector": (WIDTH, HEAD_WIDTH, HEAD_WIDTH),
        "re_classifier": (HEAD_WIDTH, HEAD_WIDTH, 2),
    }
    for name, (inside, middle, outside) in sizes.items():
        shapes |= _linear(f"{name}.1", inside, middle) | _linear(f"{name}.4", middle, outside)
        if name.endswith("projector"):
            shapes |= _norm(f"{name}.5", outside)
    return shapes
