"""Open the reader of a bundle, and refuse parts that do not belong together."""

import json
from collections.abc import Mapping
from pathlib import Path

from tokenizers import Tokenizer

from relik.backends import WordEmbeddings, open_markers, open_reader_backend
from relik.config import PipelineConfig
from relik.errors import BundleCorruptError, ConfigError
from relik.layout import LAYOUT
from relik.reader.inputs import MarkerLayout
from relik.reader.reader import ReaderParts, TransformerReader


def open_reader(
    folder: Path,
    *,
    backend: str,
    config: PipelineConfig,
    tokenizer: Tokenizer,
) -> TransformerReader:
    """Open the reader of a bundle.

    Args:
        folder: The bundle.
        backend: "onnx", "torch" or "auto".
        config: Settings.
        tokenizer: The bundle's tokenizer, to which special tokens in a text are ordinary text.

    Returns:
        The reader.

    Raises:
        BundleError: A file is missing or malformed, or two do not fit each other.
        ConfigError: There is no such backend, or rows would be longer than the reader can read.
    """
    layout, positions = read_layout(folder / "reader" / "config.json", tokenizer)
    if config.reader.max_tokens > positions:
        raise ConfigError(
            f"{folder}: got [reader] max_tokens {config.reader.max_tokens}, expected at most "
            f"{positions} as the reader has positions: lower it in pipeline.toml"
        )
    embeddings = open_embeddings(folder)
    markers = open_markers(folder / "reader" / "model.safetensors")
    if (len(embeddings), len(markers)) != (layout.vocabulary, layout.size):
        raise BundleCorruptError(
            f"{folder}: got {len(embeddings)} word embeddings and {len(markers)} markers, expected "
            f"{layout.vocabulary} as the tokenizer has words and {layout.size} as the reader's "
            "config.json says: fetch or build the bundle again"
        )
    return TransformerReader(
        ReaderParts(
            backend=open_reader_backend(folder / "reader", backend),
            embeddings=embeddings,
            markers=markers,
            tokenizer=tokenizer,
            layout=layout,
        ),
        config,
    )


def open_embeddings(bundle: Path) -> WordEmbeddings:
    """Open the word embeddings that the reader of a bundle reads.

    Args:
        bundle: The bundle.

    Returns:
        The reader's own table, or the one that it shares with the encoder.

    Raises:
        BundleError: The table is missing or malformed.
    """
    own = bundle / LAYOUT.reader_embeddings
    return WordEmbeddings.open(own if own.is_file() else bundle / LAYOUT.word_embeddings)


def row_tokens(backbone: Mapping[str, object]) -> int:
    """Tell how many tokens a row may have.

    Args:
        backbone: Settings of a backbone, as in config.json.

    Returns:
        Tokens.
    """
    positions = int(str(backbone.get("max_position_embeddings", 512)))
    # MPNet keeps the first two for padding.
    return positions - 2 if backbone.get("model_type") == "mpnet" else positions


def read_layout(path: Path, tokenizer: Tokenizer) -> tuple[MarkerLayout, int]:
    """Read where the markers of a reader lie, and how long its rows may be.

    Args:
        path: The reader's config.json.
        tokenizer: The tokenizer that it reads with.

    Returns:
        Marker ids, and tokens.

    Raises:
        BundleCorruptError: The file is not the settings of a reader.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        markers = config["markers"]
        layout = MarkerLayout.of(
            tokenizer,
            n_entities=int(markers["n_entities"]),
            n_relations=int(markers["n_relations"]),
        )
        return layout, row_tokens(config["backbone"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleCorruptError(
            f"{path}: is not the settings of a reader ({error!r}): fetch or build the bundle again"
        ) from error
