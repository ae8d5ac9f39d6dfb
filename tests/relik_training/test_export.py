"""An export keeps what the run learned, stores it once, and refuses what it cannot express."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from relik.backends import WordEmbeddings, open_encoder_backend
from relik.backends.tensors import TensorFile
from relik.errors import BundleNotFoundError, ConfigError
from relik.layout import LAYOUT

onnx = pytest.importorskip("onnx")

from relik_training.export import (  # noqa: E402 - needs onnx
    export_encoder,
    export_reader,
    export_shared,
)


def _changed(run: Path, target: Path, **settings: object) -> Path:
    shutil.copytree(run, target)
    path = target / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return target


def test_the_export_has_the_files_of_a_bundle(tiny_models: Path) -> None:
    names = {path.relative_to(tiny_models).as_posix() for path in tiny_models.rglob("*.*")}
    encoder, reader = LAYOUT.query_encoder, LAYOUT.reader
    assert names == {
        LAYOUT.tokenizer,
        LAYOUT.word_embeddings,
        *(f"{encoder}/{n}" for n in (LAYOUT.config, LAYOUT.weights, LAYOUT.encoder_graph)),
        *(f"{reader}/{n}" for n in (LAYOUT.config, LAYOUT.weights, *LAYOUT.reader_graphs)),
    }


def test_every_user_may_read_the_export(tiny_models: Path) -> None:
    modes = {path.stat().st_mode & 0o044 for path in tiny_models.rglob("*.*")}
    plain = tiny_models / "plain"
    plain.touch()
    expected = plain.stat().st_mode & 0o044
    plain.unlink()
    assert modes == {expected}


def test_graphs_hold_no_weights(tiny_models: Path) -> None:
    for path in tiny_models.rglob("*.onnx"):
        graph = onnx.load(path, load_external_data=False).graph
        inside = [t for t in graph.initializer if t.data_location != onnx.TensorProto.EXTERNAL]
        assert sum(np.prod(t.dims) for t in inside) < 100
        outside = [t for t in graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
        assert outside
        for tensor in outside:
            where = {entry.key: entry.value for entry in tensor.external_data}
            entry = TensorFile.open(path.parent / where["location"]).entries[tensor.name]
            assert (where["offset"], where["length"]) == (str(entry.offset), str(entry.n_bytes))
            assert tuple(tensor.dims) == entry.shape


def test_graphs_pass_the_checker_of_onnx(tiny_models: Path) -> None:
    for path in tiny_models.rglob("*.onnx"):
        onnx.checker.check_model(str(path))


def test_large_matrices_are_int8_and_close_to_the_run(tiny_models: Path, encoder_run: Path) -> None:
    trained = TensorFile.open(encoder_run / "model.safetensors")
    stored = TensorFile.open(tiny_models / LAYOUT.query_encoder / LAYOUT.weights)
    name = "backbone.encoder.layer.0.intermediate.dense.weight"
    assert stored[name].dtype == np.int8
    assert stored["backbone.embeddings.position_embeddings.weight"].dtype == np.float16
    weights = stored.weights()
    assert set(trained) - set(weights) == {"backbone.embeddings.word_embeddings.weight"}
    for key, value in weights.items():
        scale = np.abs(trained.float32(key)).max()
        np.testing.assert_allclose(value, trained.float32(key), atol=scale / 127 * 0.6)


def test_the_exported_encoder_points_where_the_trained_one_does(
    tiny_models: Path, encoder_run: Path
) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from relik.models.encoder_module import EncoderModel

    config = json.loads((encoder_run / "config.json").read_text())["backbone"]
    settings = transformers.BertConfig.from_dict(config | {"vocab_size": 1})
    model = EncoderModel(transformers.BertModel(settings, add_pooling_layer=False)).eval()
    weights = TensorFile.open(encoder_run / "model.safetensors").weights()
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    embeds = np.random.default_rng(5).normal(size=(4, 9, 32)).astype(np.float32)
    zeros, ones = np.zeros((4, 9), dtype=np.int64), np.ones((4, 9), dtype=np.int64)
    with torch.inference_mode():
        trained = model.encode(*map(torch.from_numpy, (embeds, zeros, ones))).numpy()
    exported = open_encoder_backend(tiny_models / LAYOUT.query_encoder, "onnx")
    cosines = (exported.encode(embeds, zeros, ones) * trained).sum(axis=1)
    assert (cosines > 0.999).all()


def test_an_export_is_the_same_every_time(
    tiny_models: Path, encoder_run: Path, tmp_path: Path
) -> None:
    export_encoder(encoder_run, tmp_path)
    for path in (tmp_path / LAYOUT.query_encoder).iterdir():
        again = tiny_models / LAYOUT.query_encoder / path.name
        assert path.read_bytes() == again.read_bytes()


def test_settings_say_width_and_tokens(tiny_models: Path) -> None:
    config = json.loads((tiny_models / LAYOUT.query_encoder / LAYOUT.config).read_text())
    assert (config["dim"], config["max_tokens"]) == (32, 20)


def test_word_embeddings_must_fit_the_tokenizer(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="39 word embeddings, expected 40"):
        export_shared(tiny_tokenizer, np.zeros((39, 8), dtype=np.float32), tmp_path)


def test_the_shared_tokenizer_neither_cuts_nor_pads(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    cutting = Tokenizer.from_str(tiny_tokenizer.to_str())
    cutting.enable_truncation(4)
    cutting.enable_padding(length=16)
    export_shared(cutting, np.ones((40, 8), dtype=np.float32), tmp_path)
    plain = Tokenizer.from_file(str(tmp_path / LAYOUT.tokenizer))
    assert (plain.truncation, plain.padding) == (None, None)
    assert WordEmbeddings.open(tmp_path / LAYOUT.word_embeddings).hidden == 8


def test_a_run_of_another_kind_is_refused(encoder_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="kind 'encoder', expected 'reader'"):
        export_reader(encoder_run, tmp_path)


def test_a_run_that_has_not_finished_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="finished run"):
        export_encoder(tmp_path, tmp_path / "out")


def test_a_run_without_weights_is_named(encoder_run: Path, tmp_path: Path) -> None:
    run = _changed(encoder_run, tmp_path / "run")
    (run / "model.safetensors").unlink()
    with pytest.raises(BundleNotFoundError, match=r"model\.safetensors"):
        export_encoder(run, tmp_path / "out")


@pytest.mark.parametrize(("key", "value"), [("model_type", "roberta"), ("hidden_act", "relu")])
def test_a_backbone_that_the_graph_does_not_cover_is_refused(
    encoder_run: Path, tmp_path: Path, key: str, value: str
) -> None:
    run = _changed(encoder_run, tmp_path / "run", backbone={key: value})
    with pytest.raises(ConfigError, match=f"got {key} '{value}'"):
        export_encoder(run, tmp_path / "out")


def test_an_activation_that_the_heads_do_not_know_is_refused(
    reader_run: Path, tmp_path: Path
) -> None:
    heads = {"linears_hidden_size": 16, "layer_norm_eps": 1e-12, "activation": "swish"}
    run = _changed(reader_run, tmp_path / "run", heads=heads)
    with pytest.raises(ConfigError, match="'swish'"):
        export_reader(run, tmp_path / "out")
