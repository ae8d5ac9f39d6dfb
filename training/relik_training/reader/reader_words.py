"""The word embeddings of a reader: those that it shares with its base, or its own table."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save
from tokenizers import Tokenizer

from relik.backends import WordEmbeddings
from relik.backends.word_embeddings import SCALE, WEIGHT, quantise_table
from relik.errors import ConfigError
from relik.layout import LAYOUT
from relik.types import FloatArray
from relik_training.run.backbone import Backbone, same_words

OWN = Path(LAYOUT.reader_embeddings).name
"""File of a run with the reader's own table, if it has one."""


def reader_words(backbone: Backbone, *, base: Path, run: Path) -> FloatArray:
    """Return the word embeddings to train a reader on, quantised as in serving.

    A reader whose backbone differs from its base has its own table for the same vocabulary, which
    is written to the run.

    Args:
        base: Base bundle of the reader.
        run: Folder of the run.

    Returns:
        Float32, (vocabulary, hidden).

    Raises:
        ConfigError: The vocabulary of the backbone is not that of the base.
    """
    tokenizer = Tokenizer.from_file(str(base / LAYOUT.tokenizer))
    if not same_words(tokenizer, backbone.tokenizer):
        raise ConfigError(
            f"{base}: its words are not those of the backbone {backbone.name}, expected the same "
            "vocabulary, because the index has candidates as tokens: train the retriever on a "
            "backbone with the same vocabulary"
        )
    shared = WordEmbeddings.open(base / LAYOUT.word_embeddings)
    weight, scale = quantise_table(backbone.embeddings.numpy())
    embeddings = WordEmbeddings(weight=weight, scale=scale)
    run.mkdir(parents=True, exist_ok=True)
    if np.array_equal(shared.weight, weight) and np.array_equal(shared.scale, scale):
        (run / OWN).unlink(missing_ok=True)
        return shared.dense()
    (run / OWN).write_bytes(save({WEIGHT: weight, SCALE: np.ascontiguousarray(scale)}))
    return embeddings.dense()


def words_of_run(run: Path, base: Path) -> WordEmbeddings:
    """Open the word embeddings that the reader of a run was trained on.

    Raises:
        BundleError: The table does not exist.
    """
    return WordEmbeddings.open(
        run / OWN if (run / OWN).is_file() else base / LAYOUT.word_embeddings
    )
