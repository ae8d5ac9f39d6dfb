"""Texts to vectors: any batch, any order, any length gives each text the same vector."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from relik.backends import WordEmbeddings, quantise_table
from relik.bundle import Bundle
from relik.errors import BundleCorruptError, BundleNotFoundError, DimensionMismatchError
from relik.layout import LAYOUT
from relik.retriever.encoder import TransformerEncoder, open_encoder

CLS, SEP = 2, 3
WIDTH = 40
Made = tuple[TransformerEncoder, "RecordingBackend"]


class RecordingBackend:
    """Sums looked-up embeddings, weighted by position, and keeps what it was given."""

    def __init__(self) -> None:
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []

    def encode(
        self, inputs_embeds: np.ndarray, token_type_ids: np.ndarray, attention_mask: np.ndarray
    ) -> np.ndarray:
        assert token_type_ids.shape == attention_mask.shape == inputs_embeds.shape[:2]
        self.seen.append((inputs_embeds.argmax(axis=2), attention_mask))
        weight = np.arange(1, inputs_embeds.shape[1] + 1) * attention_mask
        total = (inputs_embeds * weight[:, :, np.newaxis]).sum(axis=1)
        unit: np.ndarray = total / np.linalg.norm(total, axis=1, keepdims=True)
        return unit.astype(np.float32)


@pytest.fixture(scope="module")
def make(tiny_tokenizer: Tokenizer) -> Callable[..., Made]:
    weight, scale = quantise_table(np.eye(WIDTH, dtype=np.float32))
    embeddings = WordEmbeddings(weight=weight, scale=scale)

    def made(max_tokens: int = 12, batch_tokens: int = 48) -> Made:
        backend = RecordingBackend()
        encoder = TransformerEncoder(
            backend, embeddings, tiny_tokenizer, max_tokens=max_tokens, batch_tokens=batch_tokens
        )
        return encoder, backend

    return made


def _text(*words: int) -> str:
    return " ".join(f"w{word}" for word in words)


def test_special_tokens_surround_a_text(make: Callable[..., Made]) -> None:
    encoder, backend = make()
    encoder.encode([_text(0, 5)])
    np.testing.assert_array_equal(backend.seen[0][0], [[CLS, 4, 9, SEP]])


def test_a_long_text_is_cut_and_keeps_its_last_separator(make: Callable[..., Made]) -> None:
    encoder, backend = make(max_tokens=5)
    encoder.encode([_text(*range(30))])
    np.testing.assert_array_equal(backend.seen[0][0], [[CLS, 4, 5, 6, SEP]])


def test_an_empty_text_has_a_vector(make: Callable[..., Made]) -> None:
    encoder, _ = make()
    assert np.isclose(np.linalg.norm(encoder.encode([""])), 1)


def test_half_of_a_surrogate_pair_does_no_harm(make: Callable[..., Made]) -> None:
    encoder, _ = make()
    vectors = encoder.encode(["w1 \ud800", "w1 ?"])
    np.testing.assert_array_equal(vectors[0], vectors[1])


def test_special_tokens_in_a_text_are_ordinary_text(tiny_bundle: Bundle) -> None:
    encoder = open_encoder(tiny_bundle.path, "onnx")
    forged, plain = encoder.encode(["[SEP]", "[ sep ]"])
    np.testing.assert_allclose(forged, plain, atol=1e-6)


def test_no_texts_give_no_vectors(make: Callable[..., Made]) -> None:
    encoder, backend = make()
    assert encoder.encode([]).shape == (0, encoder.dim) == (0, WIDTH)
    assert not backend.seen


@given(words=st.lists(st.lists(st.integers(0, 35), max_size=30), max_size=12))
def test_order_and_company_do_not_change_a_vector(
    make: Callable[..., Made], words: list[list[int]]
) -> None:
    encoder, backend = make()
    texts = [_text(*row) for row in words]
    together = encoder.encode(texts)
    assert all(mask.size <= 48 for _, mask in backend.seen)
    assert sum(len(mask) for _, mask in backend.seen) == len(texts)
    for vector, text in zip(together, texts, strict=True):
        np.testing.assert_allclose(vector, encoder.encode([text])[0], atol=1e-6)


def test_a_text_larger_than_the_budget_goes_alone(make: Callable[..., Made]) -> None:
    encoder, backend = make(max_tokens=12, batch_tokens=4)
    encoder.encode([_text(*range(20)), _text(*range(20))])
    assert [mask.shape for _, mask in backend.seen] == [(1, 12), (1, 12)]


@pytest.fixture
def bundle(tiny_models: Path, tmp_path: Path) -> Path:
    for name in (LAYOUT.query_encoder, "shared"):
        (tmp_path / name).mkdir()
        for path in (tiny_models / name).iterdir():
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_an_exported_encoder_encodes_each_text_on_its_own(bundle: Path, backend: str) -> None:
    if backend == "torch":
        pytest.importorskip("torch")
        pytest.importorskip("transformers")
    encoder = open_encoder(bundle, backend)
    texts = [_text(1, 2, 3), "", _text(*range(35)), _text(7), "words it has never seen"]
    together = encoder.encode(texts)
    assert together.shape == (5, encoder.dim)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_the_settings_of_the_bundle_say_where_texts_are_cut(bundle: Path) -> None:
    encoder = open_encoder(bundle, "onnx")
    cut = encoder.encode([_text(*range(18)), _text(*range(30))])  # 20 tokens with [CLS] and [SEP]
    np.testing.assert_allclose(cut[0], cut[1], atol=1e-6)


@pytest.mark.parametrize("content", [None, "[]", "{}", "not json"])
def test_broken_settings_are_named(bundle: Path, content: str | None) -> None:
    path = bundle / LAYOUT.query_encoder / LAYOUT.config
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(BundleCorruptError, match=r"config\.json"):
        open_encoder(bundle, "onnx")


def test_embeddings_of_another_width_are_refused(bundle: Path) -> None:
    path = bundle / LAYOUT.query_encoder / LAYOUT.config
    path.write_text(path.read_text().replace('"dim": 32', '"dim": 48'))
    with pytest.raises(DimensionMismatchError, match="width 32, expected 48"):
        open_encoder(bundle, "onnx")


def test_vectors_are_cut_to_the_width_that_the_bundle_says(bundle: Path) -> None:
    texts = [_text(1, 2, 3), _text(7)]
    whole = open_encoder(bundle, "onnx").encode(texts)
    path = bundle / LAYOUT.query_encoder / LAYOUT.config
    path.write_text(path.read_text().replace('"dim": 32', '"dim": 8'))
    encoder = open_encoder(bundle, "onnx")
    cut = encoder.encode(texts)
    assert encoder.dim == 8
    expected = whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True)
    np.testing.assert_allclose(cut, expected, atol=1e-6)


@pytest.mark.parametrize("dim", ["0", "-1", "true", "8.5"])
def test_a_width_that_no_vector_has_is_refused(bundle: Path, dim: str) -> None:
    path = bundle / LAYOUT.query_encoder / LAYOUT.config
    path.write_text(path.read_text().replace('"dim": 32', f'"dim": {dim}'))
    with pytest.raises(BundleCorruptError, match="at least 1"):
        open_encoder(bundle, "onnx")


def test_a_missing_table_is_named(bundle: Path) -> None:
    (bundle / LAYOUT.word_embeddings).unlink()
    with pytest.raises(BundleNotFoundError, match="word_embeddings"):
        open_encoder(bundle, "onnx")


def test_a_broken_tokenizer_is_named(bundle: Path) -> None:
    (bundle / LAYOUT.tokenizer).write_text("{}")
    with pytest.raises(BundleCorruptError, match="tokenizer"):
        open_encoder(bundle, "onnx")
