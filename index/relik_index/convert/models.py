"""Writes the models of a converted bundle: weights, graphs, settings, tokenizer; no code."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from relik.types import IntArray
from relik.upstream.bundle.converted import LAYOUT
from relik.upstream.checkpoint.backbone_settings import CONFIG, find_backbone, read_config
from relik.upstream.checkpoint.reader_config import CheckpointSettings
from relik.upstream.checkpoint.settings import Task
from relik.upstream.text.subwords import TOKENIZER, ReaderTokenizer, open_tokenizer
from relik_index.graphs import released
from relik_index.graphs.released import Weights

_TOKENIZER_CONFIG = "tokenizer_config.json"
_MAX_LENGTH = "model_max_length"
# Texts of a row to which scales are fitted, and its tokens.
_TEXTS, _TOKENS = 8, 128


def write_encoder(source: Path, out: Path, *, weights: Weights, texts: Sequence[str] = ()) -> None:
    """Write an encoder.

    Args:
        source: Folder of the released one.
        out: Folder to make.
        weights: What its large matrices are kept in.
        texts: Texts such as it will read: int8 fits its scales to them.

    Raises:
        BundleError: A file is missing or broken.
        ConfigError: Its backbone has no graph.
    """
    out.mkdir(parents=True)
    open_tokenizer(source)
    shutil.copyfile(source / TOKENIZER, out / TOKENIZER)
    stated = _read_if_there(source / _TOKENIZER_CONFIG)
    if isinstance(stated.get(_MAX_LENGTH), int | float):
        _write_json({_MAX_LENGTH: stated[_MAX_LENGTH]}, out / _TOKENIZER_CONFIG)
    _write_json(_plain(read_config(source / CONFIG)), out / CONFIG)
    samples = _rows(open_tokenizer(source), texts) if weights == "int8" else []
    released.write_encoder(source, out, weights=weights, samples=samples)


def write_reader(
    source: Path,
    out: Path,
    *,
    kind: Task,
    backbone: Path | None,
    weights: Weights,
    texts: Sequence[str] = (),
) -> CheckpointSettings:
    """Write a reader, with the settings of its backbone, which released readers lack.

    Args:
        source: Folder of the released one.
        out: Folder to make.
        kind: What it is used for.
        backbone: Folder with the settings of its backbone, where its name does not say.
        weights: What its large matrices are kept in.
        texts: Texts such as it will read: int8 fits its scales to them.

    Returns:
        What it is.

    Raises:
        BundleError: A file is missing or broken.
        ConfigError: The backbone is unknown, or the reader is of the other kind.
    """
    settings = CheckpointSettings.read(source, kind=kind)
    found = find_backbone(settings.backbone, beside=source, folder=backbone)
    ReaderTokenizer.open(source, quirks=False)
    out.mkdir(parents=True)
    shutil.copyfile(source / TOKENIZER, out / TOKENIZER)
    folder = out / Path(LAYOUT.backbone).name
    folder.mkdir()
    _write_json(_plain(found), folder / CONFIG)
    # The name may be that of a folder of whoever trained the reader.
    config = _plain(read_config(source / CONFIG)) | {"transformer_model": folder.name}
    _write_json(config, out / CONFIG)
    samples = _rows(open_tokenizer(source), texts) if weights == "int8" else []
    released.write_reader(
        source, out, settings=settings, backbone=backbone, weights=weights, samples=samples
    )
    return settings


def _rows(tokenizer: Tokenizer, texts: Sequence[str]) -> list[IntArray]:
    """Turn texts into rows of tokens, several texts to a row."""
    joined = [" ".join(texts[k : k + _TEXTS]) for k in range(0, len(texts), _TEXTS)]
    found = tokenizer.encode_batch(joined)
    return [np.array(one.ids[:_TOKENS], dtype=np.int64) for one in found]


def _plain(config: Mapping[str, object]) -> dict[str, object]:
    """Leave out what names code or a place: tables such as `auto_map`, and hidden names."""
    return {
        name: value
        for name, value in config.items()
        if not name.startswith("_") and not isinstance(value, Mapping)
    }


def _read_if_there(path: Path) -> dict[str, object]:
    return read_config(path) if path.is_file() else {}


def _write_json(values: Mapping[str, object], path: Path) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
