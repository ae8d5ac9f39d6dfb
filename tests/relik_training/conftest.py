"""A small world: data sets of a few lines, a tiny random backbone, and recipes over them."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

PEOPLE = ("Ada", "Bob", "Cy", "Dora", "Edgar", "Fay")
PLACES = ("Paris", "Rome", "Oslo", "Cairo", "Lima", "Delhi")
_WORDS = ("was", "born", "in", "and", "met", "place", "of", "birth", "where", "a", "person", "the")
_MORE = ("capital", "city", "knows", "friend", ".", ",", "later", "lived")


@dataclass(frozen=True)
class World:
    """Where the small world lies."""

    data: Path
    backbone: Path
    root: Path

    def retriever_recipe(self, **settings: object) -> Path:
        """Write the recipe of a retriever."""
        tables = """
[knowledge]
out = "KNOWLEDGE"
entities = "kb.jsonl"
relations = "relations.jsonl"
triples = "triples.jsonl"
linked_text = ["train.jsonl"]
relation_text = ["train.jsonl"]

[[fusion.sources]]
path = "train.jsonl"

[[provenance]]
name = "A small world"
licence = "CC0-1.0"
used_for = "tests"
"""
        values = {
            "backbone": str(self.backbone),
            "data": str(self.data),
            "titles": "titles.jsonl",
            "model": "tiny",
            "max_tokens": 24,
            "batch_size": 2,
            "max_steps": 6,
            "warmup_steps": 2,
            "learning_rate": 1e-3,
            "checkpoint_steps": 2,
            "precision": "32-true",
        }
        name = self.root / "retriever.toml"
        return _write(name, values | settings, tables.replace("KNOWLEDGE", str(self.knowledge)))

    def reader_recipe(self, base: Path | str, **settings: object) -> Path:
        """Write the recipe of a reader."""
        tables = """
[sampling]
max_tokens = 60

[[calibration.sources]]
path = "dev.jsonl"
relations = "all"
mentions = "all"
"""
        values = {
            "backbone": str(self.backbone),
            "data": str(self.data),
            "knowledge": str(self.knowledge),
            "base": str(base),
            "titles": "titles.jsonl",
            "linears_hidden_size": 16,
            "n_entities": 20,
            "n_relations": 4,
            "held_out_source": "train.jsonl",
            "batch_size": 2,
            "max_steps": 6,
            "warmup_steps": 2,
            "checkpoint_steps": 2,
            "precision": "32-true",
        }
        return _write(self.root / "reader.toml", values | settings, tables)

    @property
    def knowledge(self) -> Path:
        return self.root / "knowledge"


@pytest.fixture(scope="session")
def word_tokenizer() -> Tokenizer:
    """One token a word, with the special tokens of BERT."""
    names = [word.casefold() for word in (*PEOPLE, *PLACES)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *names, *_WORDS, *_MORE]
    vocabulary = {word: at for at, word in enumerate(dict.fromkeys(words))}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


@pytest.fixture
def world(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, word_tokenizer: Tokenizer
) -> World:
    backbone = _backbone(tmp_path_factory, word_tokenizer)
    data = tmp_path / "data"
    data.mkdir()
    _lines(data / "kb.jsonl", [_entity(name, f"Q{at}") for at, name in enumerate(PEOPLE + PLACES)])
    relations = [
        {"id": "P19", "name": "place of birth", "description": "where a person was born"},
        {"id": "P7", "name": "knows", "description": "friend of the person"},
    ]
    _lines(data / "relations.jsonl", relations)
    pairs = [{"h": f"Q{at}", "r": ["P19"], "t": f"Q{at + 6}"} for at in range(6)]
    _lines(data / "triples.jsonl", pairs)
    _lines(data / "titles.jsonl", [{"title": "Ada", "id": "Q0"}])
    documents = [_document(person, place) for person in range(6) for place in range(6)]
    _lines(data / "train.jsonl", documents[:30])
    _lines(data / "dev.jsonl", documents[30:])
    return World(data=data, backbone=backbone, root=tmp_path)


_held: dict[str, Path] = {}


def _backbone(factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    if "folder" not in _held:
        folder = factory.mktemp("backbone")
        torch.manual_seed(5)
        config = transformers.BertConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=64,
        )
        transformers.BertModel(config).save_pretrained(folder)
        tokenizer.save(str(folder / "tokenizer.json"))
        _held["folder"] = folder
    return _held["folder"]


def _entity(name: str, key: str) -> dict[str, object]:
    person = name in PEOPLE
    return {
        "id": key,
        "name": name,
        "aliases": [],
        "description": "a person" if person else "the capital city",
        "source": "test",
    }


def _document(person: int, place: int) -> dict[str, object]:
    first, second = PEOPLE[person], PLACES[place]
    text = f"{first} was born in {second} and later lived in Lima ."
    start = text.index(second)
    spans = [
        [0, len(first), f"Q{person}", first, {}],
        [start, start + len(second), f"Q{place + 6}", second, {}],
    ]
    triples = [[0, "P19", 1]] if person == place or place % 2 else [[0, "P7", 1]]
    doc_id = f"{first}-{second}"
    return {"doc_id": doc_id, "title": first, "text": text, "spans": spans, "triples": triples}


def _lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _write(path: Path, values: dict[str, object], tables: str) -> Path:
    settings = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    sources = """
[[sources]]
path = "train.jsonl"
mentions = "some"
relations = "all"
"""
    path.write_text(settings + sources + tables)
    return path


@pytest.fixture(scope="session")
def mpnet_backbone(tmp_path_factory: pytest.TempPathFactory, word_tokenizer: Tokenizer) -> Path:
    """A tiny random MPNet, wider and deeper than the BERT, that knows the same words."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("mpnet")
    known = sorted(word_tokenizer.get_vocab(), key=word_tokenizer.get_vocab().__getitem__)
    words = ["<s>", "<pad>", "</s>", "<unk>", *known, "<mask>"]
    about = json.loads(word_tokenizer.to_str())
    about["model"]["vocab"] = {word: at for at, word in enumerate(words)}
    made = Tokenizer.from_str(json.dumps(about))
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    made.add_special_tokens(["<s>", "<pad>", "</s>", "<mask>"])
    made.enable_padding(length=16, pad_id=1, pad_token="<pad>")
    made.save(str(folder / "tokenizer.json"))
    torch.manual_seed(9)
    config = transformers.MPNetConfig(
        vocab_size=len(words),
        hidden_size=48,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=66,
        layer_norm_eps=1e-5,
    )
    transformers.MPNetModel(config).save_pretrained(folder)
    return folder
