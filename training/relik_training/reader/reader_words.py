"""The word embeddings that a reader reads: those of its base, or a table of its own."""

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
"""File of a run with the reader's own table, where it has one."""


def reader_words(backbone: Backbone, *, base: Path, run: Path) -> FloatArray:
    """Give the table that a reader is trained on, as it will be served.

    A reader of another backbone than its base reads the same words, by a table of its own.

    Args:
        backbone: Of the reader.
        base: Base bundle, which says what the words are.
        run: Folder of the run, which gets the table where it is the reader's own.

    Returns:
        Float32, (vocabulary, hidden), rounded as in the bundle.

    Raises:
        ConfigError: The backbone cuts texts into other words than the base.
    """
    tokenizer = Tokenizer.from_file(str(base / LAYOUT.tokenizer))
    if not same_words(tokenizer, backbone.tokenizer):
        raise ConfigError(
            f"{base}: its words are not those of the backbone {backbone.name}, expected the same, "
            "since candidates are kept as the tokens of the base: train the retriever on a "
            "backbone with the same vocabulary"
        )
    shared = WordEmbeddings.open(base / LAYOUT.word_embeddings)
    weight, scale = quantise_table(backbone.embeddings.numpy())
    own = WordEmbeddings(weight=weight, scale=scale)
    run.mkdir(parents=True, exist_ok=True)
    if np.array_equal(shared.weight, weight) and np.array_equal(shared.scale, scale):
        (run / OWN).unlink(missing_ok=True)
        return shared.dense()
    (run / OWN).write_bytes(save({WEIGHT: weight, SCALE: np.ascontiguousarray(scale)}))
    return own.dense()


def words_of_run(run: Path, base: Path) -> WordEmbeddings:
    """Open the table that the reader of a run was trained on.

    Args:
        run: Folder of the run.
        base: Base bundle of the run.

    Returns:
        The table.

    Raises:
        BundleError: There is none.
    """
    return WordEmbeddings.open(
        run / OWN if (run / OWN).is_file() else base / LAYOUT.word_embeddings
    )
