"""Where pretrained weights come from, and how a backbone is split into table and layers."""

import hashlib
import importlib.util
import json
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoConfig, AutoModel

from relik.errors import ConfigError

# What stands for each special token of BERT; [UNK] is MPNet's own.
_OWN = {"[PAD]": "<pad>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
_LEFT_OUT = {*_OWN.values(), "<unk>"}
_NEEDED = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

PREFIX = "pip:"
_ARCHIVE = ".zip"
_NUMBER = ".[0-9][0-9][0-9]"
# A backbone is data: nothing else is unpacked.
_WANTED = (".json", ".safetensors", ".txt")

PLAIN_TYPES = 2
"""Token types of a pretrained BERT; who wants no more has no use for them."""

READER_TYPES = 4
"""Token types of a reader: they tell case and candidates."""


def as_bert(tokenizer: Tokenizer, table: torch.Tensor) -> tuple[Tokenizer, torch.Tensor]:
    """Renumber the words of an MPNet as BERT numbers them.

    Args:
        tokenizer: MPNet's own.
        table: Float32, (vocabulary, hidden): its word embeddings.

    Returns:
        A tokenizer with BERT's words and special tokens that cuts texts into the same pieces, and
        the rows of the table in its order, (smaller vocabulary, hidden).

    Raises:
        ConfigError: The tokenizer is not an MPNet's.
    """
    words = tokenizer.get_vocab()
    lacking = [name for name in (*_OWN.values(), *_NEEDED) if name not in words]
    if lacking or len(words) != len(table):
        raise ConfigError(
            f"the tokenizer has {len(words)} words without {', '.join(lacking) or 'any missing'}, "
            f"expected {len(table)} with BERT's and MPNet's special tokens: give the "
            "tokenizer.json of an MPNet"
        )
    kept = sorted((word for word in words if word not in _LEFT_OUT), key=words.__getitem__)
    vocabulary = {word: row for row, word in enumerate(kept)}
    rows = [words[_OWN.get(word, word)] for word in kept]
    return _renamed(tokenizer, vocabulary), table[torch.tensor(rows)]


def _renamed(tokenizer: Tokenizer, vocabulary: dict[str, int]) -> Tokenizer:
    about = json.loads(tokenizer.to_str())
    about["model"] |= {"vocab": vocabulary}
    about["added_tokens"] = [
        {
            "id": vocabulary[name],
            "content": name,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for name in sorted(vocabulary.keys() & set(_SPECIAL), key=vocabulary.__getitem__)
    ]
    first, last = ({"SpecialToken": {"id": name, "type_id": 0}} for name in ("[CLS]", "[SEP]"))
    text = {"Sequence": {"id": "A", "type_id": 0}}
    second = [
        {"Sequence": {"id": "B", "type_id": 1}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 1}},
    ]
    about["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [first, text, last],
        "pair": [first, text, last, *second],
        "special_tokens": {
            name: {"id": name, "ids": [vocabulary[name]], "tokens": [name]}
            for name in ("[CLS]", "[SEP]")
        },
    }
    about["truncation"] = about["padding"] = None
    return Tokenizer.from_str(json.dumps(about))


def same_words(one: Tokenizer, other: Tokenizer) -> bool:
    """Tell whether two tokenizers cut every text into the same numbered pieces.

    Args:
        one: A tokenizer.
        other: Another.

    Returns:
        True where vocabulary, normalisation and cutting are the same. Special tokens that a text
        spells out do not count: readers take them for text.
    """
    return _cutting(one) == _cutting(other)


def _cutting(tokenizer: Tokenizer) -> dict[str, object]:
    about = json.loads(tokenizer.to_str())
    return {name: about[name] for name in ("normalizer", "pre_tokenizer", "model")}


def packaged_folder(name: str, *, cache: Path | None = None) -> Path:
    """Find a backbone inside installed packages.

    Args:
        name: `pip:PACKAGE/FOLDER` for a folder in a package, or `pip:PACKAGES/ARCHIVE.zip` for an
            archive in parts ARCHIVE.zip.001 and so on, where a `*` in PACKAGES stands for what
            tells the folders of the packages apart.
        cache: Where archives are unpacked; None for ~/.cache/relik/backbones.

    Returns:
        The folder.

    Raises:
        ConfigError: A package is not installed, or the archive is not whole.
    """
    package, _, inside = name.removeprefix(PREFIX).partition("/")
    if inside.endswith(_ARCHIVE):
        parts = _parts(name, f"{package}/{inside}{_NUMBER}")
        return _unpacked(parts, cache or Path.home() / ".cache" / "relik" / "backbones")
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            f"backbone {name!r}: no Python package {package!r} is installed: "
            f"pip install {package.replace('_', '-')}, or give a folder or hub id"
        )
    return Path(found.submodule_search_locations[0]) / inside


def _parts(name: str, pattern: str) -> list[Path]:
    found: dict[str, Path] = {}
    for folder in sys.path:
        for path in sorted(Path(folder or ".").glob(pattern)):
            found.setdefault(path.suffix, path)
    numbers = [int(suffix[1:]) for suffix in sorted(found)]
    if not found or numbers != list(range(1, len(numbers) + 1)):
        raise ConfigError(
            f"backbone {name!r}: got the parts {numbers} in the installed packages, expected all "
            "from 1 on: pip install every package that has a part of it, or give a folder or "
            "hub id"
        )
    return [found[suffix] for suffix in sorted(found)]


def _unpacked(parts: Sequence[Path], cache: Path) -> Path:
    sizes = [(path.name, path.stat().st_size) for path in parts]
    digest = hashlib.sha256(repr(sizes).encode()).hexdigest()[:12]
    target = cache / f"{Path(parts[0].stem).stem}-{digest}"
    if not target.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as aside:
            _unpack(parts, Path(aside))
            # Another run may have been quicker; both have the same.
            if not target.is_dir():
                (Path(aside) / "files").rename(target)
    return target


def _unpack(parts: Sequence[Path], aside: Path) -> None:
    whole, files = aside / "whole.zip", aside / "files"
    files.mkdir()
    with whole.open("wb") as out:
        for part in parts:
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, out)
    try:
        with zipfile.ZipFile(whole) as archive:
            for entry in archive.infolist():
                # Only files at the top: those of the backbone itself, by their bare names.
                path = Path(entry.filename)
                if len(path.parts) <= 2 and path.suffix in _WANTED and not entry.is_dir():
                    with archive.open(entry) as piece, (files / path.name).open("wb") as out:
                        shutil.copyfileobj(piece, out)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ConfigError(
            f"{parts[0]}: {len(parts)} parts do not make an archive ({error}): install the "
            "packages again, all of one version"
        ) from error


@dataclass(frozen=True, slots=True)
class Backbone:
    """A pretrained transformer without its word embeddings.

    Args:
        layers: The model; takes `inputs_embeds`.
        embeddings: Float32, (vocabulary, hidden): the word embeddings, frozen.
        tokenizer: Subwords, an MPNet's in BERT's order; truncation and padding are off.
        name: What it was loaded from.
    """

    layers: nn.Module
    embeddings: torch.Tensor
    tokenizer: Tokenizer
    name: str


def about_encoder(layers: nn.Module, max_tokens: int) -> dict[str, Any]:
    """Give what config.json says of an encoder.

    Args:
        max_tokens: Most tokens of a text in training.
    """
    about = layers.config.to_diff_dict()
    return {"kind": "encoder", "backbone": about, "max_tokens": max_tokens}


def resolve(name: str) -> str:
    """Turn the name of a backbone into a folder or a hub id.

    Args:
        name: A folder, `pip:PACKAGE/FOLDER` or `pip:PACKAGES/ARCHIVE.zip` for what installed
            Python packages hold (`relik_training.run.backbone`), or an id on the Hugging Face Hub.

    Returns:
        A folder or hub id that transformers can load.

    Raises:
        ConfigError: A package is not installed.
    """
    return str(packaged_folder(name)) if name.startswith(PREFIX) else name


def open_backbone(
    name: str,
    *,
    token_types: int = PLAIN_TYPES,
    attention_dropout: float = 0.0,
    hidden_dropout: float | None = None,
) -> Backbone:
    """Load a pretrained transformer.

    Args:
        name: As for `resolve`.
        token_types: Rows wanted in the token type table; new rows copy row 0. An MPNet, which
            has none, gets as many that begin with zeros; none where the default is kept.
        attention_dropout: Dropout inside attention, 0..1. Any at all rules out the fused
            kernels: several times slower on a CPU.
        hidden_dropout: Dropout of hidden states, 0..1; the backbone's own where None.

    Returns:
        The backbone, its word embeddings apart.

    Raises:
        ConfigError: There are no weights, or no tokenizer.json beside them.
    """
    source = resolve(name)
    try:
        config = AutoConfig.from_pretrained(source)
        config.attention_probs_dropout_prob = attention_dropout
        if hidden_dropout is not None:
            config.hidden_dropout_prob = hidden_dropout
        layers = _load_layers(source, config)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"backbone {name!r}: cannot be loaded ({str(error).splitlines()[0]}): give a folder "
            "with weights, a hub id, or pip:PACKAGE/FOLDER"
        ) from error
    table = layers.get_input_embeddings().weight.detach().clone()
    # The layers only ever see looked-up embeddings; a one-row table keeps checkpoints small.
    row = torch.zeros(1, table.shape[1])
    layers.set_input_embeddings(nn.Embedding.from_pretrained(row, freeze=False))
    tokenizer = _open_tokenizer(source)
    if config.model_type == "mpnet":
        # Imported late: most runs have no MPNet.
        from relik.models.mpnet import MPNetLayers

        tokenizer, table = as_bert(tokenizer, table)
        layers = MPNetLayers(layers, token_types=token_types if token_types > PLAIN_TYPES else 0)
    elif token_types > getattr(config, "type_vocab_size", token_types):
        _widen_token_types(layers, token_types)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return Backbone(layers=layers, embeddings=table, tokenizer=tokenizer, name=name)


def _open_tokenizer(source: str) -> Tokenizer:
    if not Path(source).is_dir():
        return Tokenizer.from_pretrained(source)
    path = Path(source) / "tokenizer.json"
    if not path.is_file():
        raise ConfigError(f"{path}: missing, expected the backbone's tokenizer.json")
    return Tokenizer.from_file(str(path))


def _load_layers(source: str, config: Any) -> nn.Module:
    # The pooler is never used by retrieval or reading.
    extra = {"add_pooling_layer": False} if config.model_type in {"bert", "mpnet"} else {}
    layers: nn.Module = AutoModel.from_pretrained(source, config=config, **extra)
    return layers


def _widen_token_types(layers: nn.Module, token_types: int) -> None:
    old = layers.embeddings.token_type_embeddings
    wide = nn.Embedding(token_types, old.embedding_dim)
    with torch.no_grad():
        wide.weight.copy_(old.weight[:1].expand(token_types, -1))
        wide.weight[: old.num_embeddings].copy_(old.weight)
    layers.embeddings.token_type_embeddings = wide
    layers.config.type_vocab_size = token_types


def best_precision() -> str:
    """Choose the Lightning precision that pays off on this machine.

    Returns:
        "bf16-mixed" on a GPU, or on a CPU with bf16 instructions; else "32-true", since
        emulated bf16 is many times slower.
    """
    if torch.cuda.is_available() and torch.cuda.is_bf16_supported():
        return "bf16-mixed"
    cpu = torch.backends.cpu.get_cpu_capability()
    has_bf16 = cpu.startswith("AVX512") and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return "bf16-mixed" if has_bf16 else "32-true"
