"""Conversion of released models: weights, ONNX graphs, settings and tokenizer; no code."""

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
# Texts and tokens of a row to which the scales of int8 are fitted.
_TEXTS_PER_ROW, _TOKENS_PER_ROW = 8, 128


def write_encoder(source: Path, out: Path, *, weights: Weights, texts: Sequence[str] = ()) -> None:
    """Convert a released encoder.

    Args:
        source: Folder of the released encoder.
        texts: Typical texts, to which the scales of int8 are fitted.

    Raises:
        BundleError: A file is missing or broken.
        ConfigError: No graph exists for its backbone.
    """
    out.mkdir(parents=True)
    open_tokenizer(source)
    shutil.copyfile(source / TOKENIZER, out / TOKENIZER)
    path = source / _TOKENIZER_CONFIG
    longest = read_config(path).get(_MAX_LENGTH) if path.is_file() else None
    if isinstance(longest, int | float):
        _write_json({_MAX_LENGTH: longest}, out / _TOKENIZER_CONFIG)
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
    """Convert a released reader, and add the settings of its backbone, which it lacks.

    Args:
        source: Folder of the released reader.
        backbone: Folder with the settings of its backbone; None to find them by its name.
        texts: Typical texts, to which the scales of int8 are fitted.

    Raises:
        BundleError: A file is missing or broken.
        ConfigError: The backbone is unknown, or the reader is not of this kind.
    """
    settings = CheckpointSettings.read(source, kind=kind)
    found = find_backbone(settings.backbone, beside=source, folder=backbone)
    ReaderTokenizer.open(source, quirks=False)
    out.mkdir(parents=True)
    shutil.copyfile(source / TOKENIZER, out / TOKENIZER)
    folder = out / Path(LAYOUT.backbone).name
    folder.mkdir()
    _write_json(_plain(found), folder / CONFIG)
    # The released name may be a folder on the machine that trained the reader.
    config = _plain(read_config(source / CONFIG)) | {"transformer_model": folder.name}
    _write_json(config, out / CONFIG)
    samples = _rows(open_tokenizer(source), texts) if weights == "int8" else []
    released.write_reader(
        source, out, settings=settings, backbone=backbone, weights=weights, samples=samples
    )
    return settings


def _rows(tokenizer: Tokenizer, texts: Sequence[str]) -> list[IntArray]:
    """Tokenise texts, several texts to a row."""
    starts = range(0, len(texts), _TEXTS_PER_ROW)
    joined = [" ".join(texts[k : k + _TEXTS_PER_ROW]) for k in starts]
    found = tokenizer.encode_batch(joined)
    return [np.array(one.ids[:_TOKENS_PER_ROW], dtype=np.int64) for one in found]


def _plain(config: Mapping[str, object]) -> dict[str, object]:
    """Drop settings that name code or a path: tables such as `auto_map`, and private names."""
    return {
        name: value
        for name, value in config.items()
        if not name.startswith("_") and not isinstance(value, Mapping)
    }


def _write_json(values: Mapping[str, object], path: Path) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
