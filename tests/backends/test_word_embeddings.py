"""The shared table of word embeddings: lookup equals the dense table, markers come after it."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from relik.backends import WordEmbeddings, open_markers, quantise_table
from relik.errors import BundleCorruptError

TABLE = np.random.default_rng(0).normal(size=(50, 24)).astype(np.float32)


def _saved(path: Path) -> WordEmbeddings:
    weight, scale = quantise_table(TABLE)
    save_file({"weight": weight, "scale": np.ascontiguousarray(scale)}, path)
    return WordEmbeddings.open(path)


def test_the_table_is_close_to_what_was_quantised(tmp_path: Path) -> None:
    opened = _saved(tmp_path / "words.safetensors")
    assert (len(opened), opened.hidden) == (50, 24)
    bound = np.abs(TABLE).max(axis=1, keepdims=True) / 127 * 0.6
    assert (np.abs(opened.dense() - TABLE) <= bound).all()


def test_lookup_gives_rows_of_the_dense_table(tmp_path: Path) -> None:
    opened = _saved(tmp_path / "words.safetensors")
    ids = np.array([[3, 0, 49], [7, 7, 1]])
    found = opened.lookup(ids)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, opened.dense()[ids])


def test_ids_beyond_the_vocabulary_are_markers(tmp_path: Path) -> None:
    opened = _saved(tmp_path / "words.safetensors")
    markers = np.arange(48, dtype=np.float32).reshape(2, 24)
    found = opened.lookup_with_markers(np.array([[50, 4], [2, 51]]), markers)
    np.testing.assert_array_equal(found[0, 0], markers[0])
    np.testing.assert_array_equal(found[1, 1], markers[1])
    np.testing.assert_array_equal(found[0, 1], opened.dense()[4])


def test_markers_are_read_from_the_weights_of_a_reader(tiny_models: Path) -> None:
    assert open_markers(tiny_models / "reader" / "model.safetensors").shape == (10, 32)


def test_a_table_of_another_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.safetensors"
    save_file({"weight": TABLE, "scale": np.ones(50, dtype=np.float16)}, path)
    with pytest.raises(BundleCorruptError, match="float32"):
        WordEmbeddings.open(path)
