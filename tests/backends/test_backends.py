"""Both backends run the same weights: stage by stage, padded or not, empty or not."""

import sys
from pathlib import Path

import numpy as np
import pytest

from relik.backends import (
    EncoderBackend,
    ReaderBackend,
    open_encoder_backend,
    open_reader_backend,
)
from relik.errors import BundleCorruptError, BundleError, ConfigError, InferenceError

WIDTH = 32
NONE = np.zeros(0, dtype=np.int64)


def _tokens(batch: int, n_tokens: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    embeds = rng.normal(size=(batch, n_tokens, WIDTH)).astype(np.float32)
    types = rng.integers(0, 4, size=(batch, n_tokens))
    return embeds, types, np.ones((batch, n_tokens), dtype=np.int64)


def _reader_tokens(batch: int) -> tuple[np.ndarray, ...]:
    entities = np.tile(np.array([0, 9, 10, 13]), (batch, 1))
    return (*_tokens(batch, 20), entities, np.tile(np.array([16, 18]), (batch, 1)))


@pytest.fixture(scope="module", params=["onnx", "torch"])
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "torch":
        pytest.importorskip("torch")
        pytest.importorskip("transformers")
    return str(request.param)


@pytest.fixture(scope="module")
def encoder(tiny_models: Path, backend: str) -> EncoderBackend:
    return open_encoder_backend(tiny_models / "query_encoder", backend)


@pytest.fixture(scope="module")
def reader(tiny_models: Path, backend: str) -> ReaderBackend:
    return open_reader_backend(tiny_models / "reader", backend)


def test_the_encoder_gives_unit_vectors(encoder: EncoderBackend) -> None:
    vectors = encoder.encode(*_tokens(3, 7))
    assert vectors.shape == (3, WIDTH)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_neither_padding_nor_neighbours_change_a_vector(encoder: EncoderBackend) -> None:
    embeds, types, mask = _tokens(4, 12)
    mask[0, 5:] = 0
    embeds[0, 5:] = 50.0
    together = encoder.encode(embeds, types, mask)
    alone = encoder.encode(embeds[:1, :5], types[:1, :5], mask[:1, :5])
    np.testing.assert_allclose(together[0], alone[0], atol=1e-5)


def test_no_texts_give_no_vectors(encoder: EncoderBackend) -> None:
    assert encoder.encode(*_tokens(0, 7)).shape == (0, WIDTH)


def test_the_stages_of_the_reader_have_the_documented_shapes(reader: ReaderBackend) -> None:
    hidden, starts, entities, relations = reader.encode(*_reader_tokens(3))
    assert (starts.shape, entities.shape, relations.shape) == ((3, 20, 2), (3, 4, 32), (3, 2, 16))
    rows, first, last = np.array([[0, 1, 1, 2, 2], [1, 1, 4, 2, 6], [2, 1, 5, 2, 7]])
    assert reader.ends(hidden, rows, first).shape == (5, 20)
    assert reader.link(hidden, rows, first, last, entities).shape == (5, 4)
    pairs = np.array([[1, 2], [2, 1], [3, 4]])
    scores = reader.relate(hidden, rows, first, last, pairs[:, 0], pairs[:, 1], relations)
    assert scores.shape == (3, 2, 2)


def test_ends_beyond_the_text_need_not_be_scored(reader: ReaderBackend) -> None:
    hidden, *_ = reader.encode(*_reader_tokens(3))
    rows, first = np.array([[0, 1, 2], [1, 6, 3]])
    everywhere = reader.ends(hidden, rows, first)
    in_text = reader.ends(hidden, rows, first, n_tokens=7)
    assert in_text.shape == (3, 7)
    np.testing.assert_allclose(in_text, everywhere[:, :7], atol=1e-5)
    assert reader.ends(hidden, NONE, NONE, n_tokens=7).shape == (0, 7)


def test_a_reader_without_work_answers_with_empty_arrays(reader: ReaderBackend) -> None:
    embeds, types, mask, entities, _ = _reader_tokens(2)
    nothing = np.zeros((2, 0), dtype=np.int64)
    hidden, _, vectors, relations = reader.encode(embeds, types, mask, entities, nothing)
    assert relations.shape == (2, 0, 16)
    assert reader.ends(hidden, NONE, NONE).shape == (0, 20)
    assert reader.link(hidden, NONE, NONE, NONE, vectors).shape == (0, 4)
    assert reader.relate(hidden, NONE, NONE, NONE, NONE, NONE, relations).shape == (0, 0, 2)
    one = np.zeros(1, dtype=np.int64)
    assert reader.relate(hidden, one, one, one, one, one, relations).shape == (1, 0, 2)


def test_neither_padding_nor_neighbours_change_a_row(reader: ReaderBackend) -> None:
    embeds, types, mask, entities, relations = _reader_tokens(3)
    wide = np.concatenate([embeds, np.full((3, 6, WIDTH), 9, dtype=np.float32)], axis=1)
    more = np.zeros((3, 6), dtype=np.int64)
    padded = reader.encode(
        wide,
        np.concatenate([types, more], axis=1),
        np.concatenate([mask, more], axis=1),
        entities,
        relations,
    )
    alone = reader.encode(embeds[:1], types[:1], mask[:1], entities[:1], relations[:1])
    np.testing.assert_allclose(padded[1][0, :20], alone[1][0], atol=1e-5)
    np.testing.assert_allclose(padded[2][0], alone[2][0], atol=1e-5)
    np.testing.assert_allclose(padded[3][0], alone[3][0], atol=1e-5)


def test_input_that_cannot_be_run_is_an_inference_error(encoder: EncoderBackend) -> None:
    embeds, types, mask = _tokens(1, 60)  # more tokens than positions
    with pytest.raises(InferenceError, match="failed on"):
        encoder.encode(embeds, types, mask)


def test_both_backends_encode_alike(tiny_models: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    inputs = _tokens(4, 11, seed=1)
    inputs[2][1, 6:] = 0
    onnx, torch = (
        open_encoder_backend(tiny_models / "query_encoder", name).encode(*inputs)
        for name in ("onnx", "torch")
    )
    np.testing.assert_allclose(onnx, torch, atol=1e-5)


def test_both_backends_read_alike(tiny_models: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    inputs = _reader_tokens(3)
    inputs[2][1, 19:] = 0
    # Padding has no states: what is computed there is up to the backend.
    kept = inputs[2].astype(bool)
    found = []
    for name in ("onnx", "torch"):
        reader = open_reader_backend(tiny_models / "reader", name)
        hidden, starts, entities, relations = reader.encode(*inputs)
        rows, first, last = np.array([[0, 1, 1, 2], [1, 1, 4, 6], [2, 1, 5, 7]])
        pairs = np.array([[1, 2], [2, 1]])
        found.append(
            (
                starts[kept],
                entities,
                relations,
                reader.ends(hidden, rows, first)[kept[rows]],
                reader.link(hidden, rows, first, last, entities),
                reader.relate(hidden, rows, first, last, pairs[:, 0], pairs[:, 1], relations),
            )
        )
    for onnx, torch in zip(*found, strict=True):
        assert np.abs(onnx).max() > 0.01
        np.testing.assert_allclose(onnx, torch, atol=1e-4)


def test_hidden_states_of_another_maker_are_refused(reader: ReaderBackend) -> None:
    with pytest.raises(TypeError, match="hidden states"):
        reader.ends("hidden", np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))


def test_a_wrong_backend_is_named(tiny_models: Path) -> None:
    with pytest.raises(ConfigError, match="'onxx'"):
        open_encoder_backend(tiny_models / "query_encoder", "onxx")


def test_missing_torch_is_met_with_the_line_that_installs_it(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'relik-server\[gpu\]'"):
        open_reader_backend(tiny_models / "reader", "torch")


def test_auto_falls_back_to_onnx_where_torch_is_missing(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "relik.backends.torch_backend", raising=False)
    opened = open_encoder_backend(tiny_models / "query_encoder", "auto")
    assert type(opened).__name__ == "OnnxEncoder"
    assert "relik.backends.torch_backend" not in sys.modules


def test_a_missing_graph_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"encoder\.onnx: is missing"):
        open_encoder_backend(tmp_path, "onnx")


def test_a_broken_graph_is_named(tmp_path: Path) -> None:
    (tmp_path / "encoder.onnx").write_bytes(b"not a graph")
    with pytest.raises(BundleCorruptError, match=r"encoder\.onnx: ONNX Runtime cannot open it"):
        open_encoder_backend(tmp_path, "onnx")


def test_settings_that_do_not_fit_the_weights_are_named(tiny_models: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    weights = (tiny_models / "query_encoder" / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "config.json").write_text('{"backbone": {"hidden_size": 24}}')
    with pytest.raises(BundleCorruptError, match=r"config\.json"):
        open_encoder_backend(tmp_path, "torch")
