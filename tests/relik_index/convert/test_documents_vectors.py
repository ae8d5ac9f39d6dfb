"""A flat index that is written block by block is the file that FAISS writes."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from relik.errors import BundleCorruptError  # the package needs torch
from relik.vectors.faiss_index import write_faiss  # the package needs torch
from relik_index.convert.documents import write_flat  # needs torch


@pytest.mark.parametrize("rows", [1, 2, 700])
def test_the_file_is_that_of_faiss(tmp_path: Path, rows: int) -> None:
    vectors = np.random.default_rng(1).normal(size=(rows, 7)).astype(np.float32)
    write_faiss(vectors, tmp_path / "theirs", kind="exact")
    blocks = (vectors[first : first + 256] for first in range(0, rows, 256))
    write_flat(blocks, tmp_path / "ours", rows=rows, dim=7)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_too_few_vectors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleCorruptError, match="got 2 vectors, expected 3"):
        write_flat([np.zeros((2, 4), dtype=np.float32)], tmp_path / "index", rows=3, dim=4)
