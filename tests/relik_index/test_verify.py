"""Verifying a knowledge index."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from relik.errors import BundleCorruptError, BundleNotFoundError
from relik.kb.knowledge_base import KIND
from relik.manifest import read_manifest, write_manifest
from relik.vectors.faiss_index import VectorKind
from relik_index import BuildOptions, verify_index

Build = Callable[..., Path]


@pytest.mark.parametrize("kind", ["exact", "hnsw", "ivf"])
def test_records_of_a_sound_index_find_themselves(
    build: Build, numbered: Sequence[dict[str, object]], kind: VectorKind
) -> None:
    report = verify_index(build(numbered, options=BuildOptions(vectors=kind)))
    assert report["rows"] == 1200
    assert report["vectors"] == kind
    assert report["sampled"] == 256
    assert float(str(report["self_recall"])) >= 0.9


def test_records_with_one_text_are_no_fault(build: Build) -> None:
    report = verify_index(build([{"id": f"Q{at}", "name": "Paris"} for at in range(50)]))
    assert report["self_recall"] == 1.0


@pytest.mark.parametrize(
    ("name", "said"), [("ids.rows", "leads to row"), ("names.trie", "got no entry of row")]
)
def test_parts_of_two_indexes_do_not_pass(
    build: Build, tmp_path: Path, name: str, said: str
) -> None:
    records = [{"id": f"Q{at}", "name": f"Name {at}"} for at in range(9)]
    out = build(records)
    other = build(records[::-1], out=tmp_path / "other")
    shutil.copy(other / name, out / name)
    write_manifest(out, kind=KIND, fields=read_manifest(out).fields)
    with pytest.raises(BundleCorruptError, match=said):
        verify_index(out)


def test_parts_of_other_sizes_do_not_pass(build: Build, tmp_path: Path) -> None:
    out = build([{"id": "Q1", "name": "a"}])
    other = build([{"id": "Q1", "name": "a"}, {"id": "Q2", "name": "b"}], out=tmp_path / "other")
    shutil.copy(other / "vectors.faiss", out / "vectors.faiss")
    write_manifest(out, kind=KIND, fields=read_manifest(out).fields)
    with pytest.raises(BundleCorruptError, match="has 2 rows, expected 1"):
        verify_index(out)


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match="nothing"):
        verify_index(tmp_path / "nothing")
