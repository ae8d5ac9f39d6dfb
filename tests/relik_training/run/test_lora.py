"""Adapters train few weights, and are merged into those they stand beside."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("lightning")
pytest.importorskip("onnx")

from safetensors.torch import load_file  # noqa: E402 - needs torch
from typer.testing import CliRunner  # noqa: E402

from relik.errors import ConfigError  # noqa: E402
from relik.models.encoder_module import EncoderModel  # noqa: E402
from relik_training.cli import app  # noqa: E402
from relik_training.run.backbone import open_backbone  # noqa: E402
from relik_training.run.lora import LoraSettings, adapt, merged  # noqa: E402

if TYPE_CHECKING:
    from tests.relik_training.conftest import World

KINDS = ("bert", "mpnet")


@pytest.fixture(params=KINDS)
def backbone(request: pytest.FixtureRequest, world: "World", mpnet_backbone: Path) -> str:
    return str(world.backbone if request.param == "bert" else mpnet_backbone)


def _encode(model: EncoderModel, width: int) -> "torch.Tensor":
    draw = torch.Generator().manual_seed(1)
    embeds = torch.randn(2, 7, width, generator=draw)
    zeros = torch.zeros(2, 7, dtype=torch.int64)
    vectors: torch.Tensor = model.encode(embeds, zeros, zeros + 1)
    return vectors


def _adapted(name: str, **settings: object) -> tuple[EncoderModel, int]:
    torch.manual_seed(0)
    opened = open_backbone(name, token_types=4, hidden_dropout=0.0)
    adapt(opened.layers, LoraSettings(rank=3, **settings))  # type: ignore[arg-type]
    return EncoderModel(opened.layers), opened.embeddings.shape[1]


def _trained(model: EncoderModel, width: int) -> None:
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.5)
    for _ in range(3):
        loss = -_encode(model, width)[:, 0].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_merged_is_what_adapters_computed(backbone: str) -> None:
    model, width = _adapted(backbone)
    before = _encode(model, width)
    _trained(model, width)
    names = set(EncoderModel(open_backbone(backbone, token_types=4).layers).state_dict())
    apart = _encode(model, width)
    assert (apart - before).abs().max() > 0.01
    together = _encode(merged(model), width)  # type: ignore[arg-type]
    assert torch.allclose(apart, together, atol=1e-5)
    assert set(model.state_dict()) == names


def test_adapters_begin_with_the_function_of_the_backbone(backbone: str) -> None:
    model, width = _adapted(backbone)
    plain = EncoderModel(open_backbone(backbone, token_types=4, hidden_dropout=0.0).layers)
    assert torch.equal(_encode(model, width), _encode(plain, width))


def test_only_adapters_norms_and_token_types_are_trained(backbone: str) -> None:
    model, width = _adapted(backbone)
    frozen = {k: v.clone() for k, v in model.named_parameters() if not v.requires_grad}
    trained = [name for name, each in model.named_parameters() if each.requires_grad]
    wanted = ("lora_A", "lora_B", "LayerNorm", "token_type_embeddings")
    assert all(any(part in name for part in wanted) for name in trained)
    assert any("output.dense.lora_A" in name for name in trained)
    assert any("token_type_embeddings" in name for name in trained)
    _trained(model, width)
    assert frozen
    assert all(torch.equal(model.get_parameter(name), each) for name, each in frozen.items())


def test_without_a_rank_nothing_changes(backbone: str) -> None:
    opened = open_backbone(backbone)
    names = set(opened.layers.state_dict())
    adapt(opened.layers, LoraSettings())
    assert set(opened.layers.state_dict()) == names
    assert merged(opened.layers) is opened.layers


def test_a_matrix_that_is_not_there_is_named(backbone: str) -> None:
    with pytest.raises(ConfigError, match=r"got \['no_such'\], expected some of .*dense"):
        _adapted(backbone, targets=("no_such",))


def test_a_run_with_adapters_ends_with_the_files_of_any_run(world: "World") -> None:
    run = world.root / "lora"
    recipe = world.retriever_recipe()
    recipe.write_text(recipe.read_text() + "\n[lora]\nrank = 2\nalpha = 8.0\n")
    arguments = ["retriever", "--config", str(recipe), "--out", str(run)]
    made = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert made.exit_code == 0
    held = load_file(run / "model.safetensors")
    pretrained = EncoderModel(open_backbone(str(world.backbone)).layers).state_dict()
    assert held.keys() == pretrained.keys()
    name = "backbone.encoder.layer.0.attention.self.query.weight"
    change = torch.linalg.matrix_rank(held[name] - pretrained[name], rtol=1e-3)
    assert change == 2
    assert (run / "bundle" / "manifest.json").is_file()
