"""Vectors that are taken over from another index."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from relik.errors import BundleNotFoundError, ConfigError
from relik.kb import KnowledgeBase
from relik.testing import HashEncoder
from relik.types import FloatArray
from relik_index import BuildOptions, build_index
from relik_index.reuse import ReusedVectors

Build = Callable[..., Path]


class _Counting:
    """Encodes, and keeps what it was asked for."""

    dim = 32

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._encoder = HashEncoder(32)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.texts.extend(texts)
        return self._encoder.encode(texts)


def test_only_records_of_another_text_are_encoded(
    build: Build,
    numbered: Sequence[Mapping[str, object]],
    tmp_path: Path,
    tokenizer: Tokenizer,
) -> None:
    old = build(numbered, out=tmp_path / "old")
    source = tmp_path / "new.jsonl"
    lines = (tmp_path / "kb.jsonl").read_text().splitlines()[::-1]
    lines[3:5] = [
        '{"id": "Q1196", "name": "Another name"}',
        '{"id": "new", "name": "Another thing"}',
    ]
    source.write_text("\n".join(lines))
    reused = ReusedVectors(old, encoder_fingerprint="")
    encoder = _Counting()
    out = tmp_path / "new"
    options = BuildOptions(reuse=reused)
    build_index(source, out, encoder=encoder, tokenizer=tokenizer, options=options)
    assert sorted(encoder.texts) == ["Another name", "Another thing"]
    assert reused.n_reused == 1198
    anew = tmp_path / "anew"
    build_index(source, anew, encoder=HashEncoder(32), tokenizer=tokenizer)
    rows = np.arange(1200)
    np.testing.assert_array_equal(
        KnowledgeBase.open(out, verify=True).index.reconstruct(rows),
        KnowledgeBase.open(anew).index.reconstruct(rows),
    )


def test_an_index_of_other_records_has_nothing_to_take_over(
    build: Build, numbered: Sequence[Mapping[str, object]], tmp_path: Path, tokenizer: Tokenizer
) -> None:
    reused = ReusedVectors(build(numbered, out=tmp_path / "old"), encoder_fingerprint="")
    source = tmp_path / "new.jsonl"
    source.write_text('{"id": "new", "name": "Another thing"}')
    encoder = _Counting()
    options = BuildOptions(reuse=reused)
    build_index(source, tmp_path / "new", encoder=encoder, tokenizer=tokenizer, options=options)
    assert encoder.texts == ["Another thing"]
    assert reused.n_reused == 0


def test_vectors_of_another_encoder_are_refused(build: Build) -> None:
    out = build([{"id": "Q1", "name": "Rome"}])
    with pytest.raises(ConfigError, match="expected other: build without --reuse"):
        ReusedVectors(out, encoder_fingerprint="other")


def test_quantised_vectors_are_refused(
    build: Build, numbered: Sequence[Mapping[str, object]], tmp_path: Path
) -> None:
    out = build(numbered, out=tmp_path / "old", options=BuildOptions(vectors="sq8"))
    with pytest.raises(ConfigError, match="got sq8 vectors, expected exact ones"):
        ReusedVectors(out, encoder_fingerprint="")


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError):
        ReusedVectors(tmp_path, encoder_fingerprint="")
