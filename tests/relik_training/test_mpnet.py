"""An MPNet as backbone: the function of the released one, on torch and as a graph."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnx")
pytest.importorskip("lightning")

from relik.backends import open_encoder_backend, open_reader_backend  # noqa: E402
from relik.errors import ConfigError  # noqa: E402
from relik.layout import LAYOUT  # noqa: E402
from relik.models.encoder_module import EncoderModel  # noqa: E402
from relik.models.reader_module import HeadConfig, ReaderModel  # noqa: E402
from relik.reader.open_reader import row_tokens  # noqa: E402
from relik_training.export import export_encoder, export_reader  # noqa: E402
from relik_training.run.backbone import Backbone, open_backbone  # noqa: E402
from relik_training.run.trainer import write_weights  # noqa: E402

WIDTH = 48


def _inputs(n_tokens: int = 11) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(2)
    embeds = draw.normal(size=(3, n_tokens, WIDTH)).astype(np.float32)
    types = draw.integers(0, 4, size=(3, n_tokens))
    mask = np.ones((3, n_tokens), dtype=np.int64)
    mask[1, n_tokens // 2 :] = 0
    return embeds, types, mask


def _read(layers: "torch.nn.Module", inputs: tuple[np.ndarray, ...]) -> np.ndarray:
    embeds, types, mask = map(torch.from_numpy, inputs)
    with torch.inference_mode():
        output = layers.eval()(inputs_embeds=embeds, token_type_ids=types, attention_mask=mask)
    states: np.ndarray = output.last_hidden_state.numpy()
    return states


def _plain(folder: Path, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
    model = transformers.MPNetModel.from_pretrained(folder, add_pooling_layer=False).eval()
    embeds, _, mask = map(torch.from_numpy, inputs)
    with torch.inference_mode():
        states: np.ndarray = model(inputs_embeds=embeds, attention_mask=mask)[0].numpy()
    return states


@pytest.mark.parametrize("token_types", [2, 4])
def test_an_untrained_one_computes_what_it_was_released_as(
    mpnet_backbone: Path, token_types: int
) -> None:
    inputs = _inputs()
    opened = open_backbone(str(mpnet_backbone), token_types=token_types)
    found, expected = _read(opened.layers, inputs), _plain(mpnet_backbone, inputs)
    on_tokens = inputs[2].astype(bool)
    np.testing.assert_allclose(found[on_tokens], expected[on_tokens], atol=1e-5)


def test_trained_token_types_tell_words_apart(mpnet_backbone: Path) -> None:
    layers = open_backbone(str(mpnet_backbone), token_types=4).layers
    embeds, types, mask = _inputs()
    before = _read(layers, (embeds, types, mask))
    with torch.no_grad():
        layers.embeddings.token_type_embeddings.weight[3] = torch.linspace(-1, 1, WIDTH)
    after = _read(layers, (embeds, types, mask))
    only_text = _read(layers, (embeds, np.zeros_like(types), mask))
    assert np.abs(after - before)[types == 3].max() > 1e-3
    np.testing.assert_allclose(only_text[mask == 1], before[mask == 1], atol=1e-5)


def test_padding_changes_nothing(mpnet_backbone: Path) -> None:
    layers = open_backbone(str(mpnet_backbone)).layers
    inputs = _inputs()
    short = tuple(each[1:2, :5] for each in inputs)
    np.testing.assert_allclose(_read(layers, inputs)[1, :5], _read(layers, short)[0], atol=1e-5)


def _written(run: Path, opened: Backbone, kind: str) -> "torch.nn.Module":
    run.mkdir()
    about: dict[str, object] = {"kind": kind, "backbone": opened.layers.config.to_diff_dict()}
    torch.manual_seed(4)
    if kind == "encoder":
        model: torch.nn.Module = EncoderModel(opened.layers)
        about["max_tokens"] = 20
    else:
        heads = {"hidden_size": WIDTH, "linears_hidden_size": 16, "layer_norm_eps": 1e-5}
        model = ReaderModel(opened.layers, HeadConfig(**heads), n_markers=10)
        about |= {"heads": heads | {"activation": "gelu"}}
        about |= {"markers": {"n_entities": 6, "n_relations": 3}}
    for table in model.modules():
        if isinstance(table, torch.nn.Embedding):
            torch.nn.init.normal_(table.weight, std=0.5)
    write_weights(model, run, about)
    return model.eval()


@pytest.mark.parametrize("n_tokens", [2, 11, 64])
def test_the_graph_of_an_encoder_computes_what_torch_does(
    mpnet_backbone: Path, tmp_path: Path, n_tokens: int
) -> None:
    _written(tmp_path / "run", open_backbone(str(mpnet_backbone)), "encoder")
    export_encoder(tmp_path / "run", tmp_path)
    folder = tmp_path / LAYOUT.query_encoder
    inputs = _inputs(n_tokens)
    graph = open_encoder_backend(folder, "onnx").encode(*inputs)
    module = open_encoder_backend(folder, "torch").encode(*inputs)
    np.testing.assert_allclose(graph, module, atol=1e-5)


def test_the_graphs_of_a_reader_compute_what_torch_does(
    mpnet_backbone: Path, tmp_path: Path
) -> None:
    opened = open_backbone(str(mpnet_backbone), token_types=4)
    _written(tmp_path / "run", opened, "reader")
    export_reader(tmp_path / "run", tmp_path)
    positions = (np.array([[0, 3, 5]] * 3), np.array([[7], [2], [8]]))
    answers = [
        open_reader_backend(tmp_path / LAYOUT.reader, name).encode(*_inputs(), *positions)
        for name in ("onnx", "torch")
    ]
    assert not (tmp_path / LAYOUT.reader_embeddings).exists()
    on_tokens = _inputs()[2].astype(bool)
    for graph, module in zip(answers[0][1:], answers[1][1:], strict=True):
        if graph.shape[1] == on_tokens.shape[1]:
            graph, module = graph[on_tokens], module[on_tokens]
        np.testing.assert_allclose(graph, module, atol=1e-4)


def test_an_exported_one_stays_close_to_the_run(mpnet_backbone: Path, tmp_path: Path) -> None:
    model = _written(tmp_path / "run", open_backbone(str(mpnet_backbone)), "encoder")
    export_encoder(tmp_path / "run", tmp_path)
    inputs = _inputs()
    with torch.inference_mode():
        trained = model.encode(*map(torch.from_numpy, inputs)).numpy()
    exported = open_encoder_backend(tmp_path / LAYOUT.query_encoder, "torch").encode(*inputs)
    assert ((exported * trained).sum(axis=1) > 0.999).all()


def test_a_variant_without_a_graph_is_refused(mpnet_backbone: Path, tmp_path: Path) -> None:
    _written(tmp_path / "run", open_backbone(str(mpnet_backbone)), "encoder")
    path = tmp_path / "run" / "config.json"
    about = json.loads(path.read_text())
    about["backbone"]["relative_attention_num_buckets"] = 16
    path.write_text(json.dumps(about))
    with pytest.raises(ConfigError, match="relative_attention_num_buckets 16, expected 32"):
        export_encoder(tmp_path / "run", tmp_path)


def test_two_positions_are_not_for_tokens() -> None:
    assert row_tokens({"model_type": "mpnet", "max_position_embeddings": 514}) == 512
    assert row_tokens({"model_type": "bert"}) == 512
