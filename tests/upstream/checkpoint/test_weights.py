"""Weights are read name by name, and nothing in a checkpoint is run."""

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from safetensors.torch import save_file
from torch import nn

from relik.errors import BundleCorruptError, BundleNotFoundError, ConfigError
from relik.upstream.checkpoint.backbones import build_backbone
from relik.upstream.checkpoint.weights import fill, place, read_torch_file, read_weights

CONFIG = {
    "model_type": "bert",
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "max_position_embeddings": 16,
}


def _backbone() -> nn.Module:
    return build_backbone(CONFIG, n_words=5, source=Path("model"))


def _weights(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: value.shape for name, value in _backbone().state_dict().items()}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def _fill(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    fill(model, weights, name_of=str, source=Path("model"))


class _Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_hold_the_same_weights(tmp_path: Path, zipped: bool) -> None:
    weights = _weights()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    save_file(weights, tmp_path / "a" / "model.safetensors")
    path = tmp_path / "b" / "pytorch_model.bin"
    torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    first, second = read_weights(tmp_path / "a"), read_weights(tmp_path / "b")
    assert first.keys() == second.keys() == weights.keys()
    assert all(torch.equal(first[name], second[name]) for name in weights)


def _shard(folder: Path, name: str, changes: dict[str, object] | None = None) -> Path:
    """Write `_weights` in two files and their index, some entries of which are changed."""
    stem, ending = name.rsplit(".", 1)
    weights = list(_weights().items())
    weight_map: dict[str, object] = {}
    for number, part in enumerate((weights[:7], weights[7:]), start=1):
        file = f"{stem}-0000{number}-of-00002.{ending}"
        write = save_file if ending == "safetensors" else torch.save
        write(dict(part), folder / file)
        weight_map |= {name: file for name, _ in part}
    weight_map |= changes or {}
    index = folder / f"{name}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return index


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_weights_in_several_files_are_those_of_one(tmp_path: Path, name: str) -> None:
    _shard(tmp_path, name)
    weights, found = _weights(), read_weights(tmp_path)
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    _fill(_backbone(), found)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_file_of_several_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    _shard(tmp_path, name)
    (missing,) = tmp_path.glob("*-00002-of-*")
    missing.unlink()
    with pytest.raises(
        BundleCorruptError, match=f"got no file '{missing.name}', expected all that it names"
    ):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    "file", ["../outside.safetensors", "/etc/passwd", "a/b.safetensors", "a\\b", "..", "", "a\0", 3]
)
def test_an_index_names_files_beside_it_alone(tmp_path: Path, file: object) -> None:
    folder = tmp_path / "model"
    (folder / "a").mkdir(parents=True)
    for path in (tmp_path / "outside.safetensors", folder / "a" / "b.safetensors"):
        save_file({"extra": torch.ones(1)}, path)
    index = _shard(folder, "model.safetensors", {"extra": file})
    with pytest.raises(BundleCorruptError, match=str(index)):
        read_weights(folder)


@pytest.mark.parametrize("number", [1, 2])
def test_an_index_and_its_files_have_the_same_tensors(tmp_path: Path, number: int) -> None:
    file = f"model-0000{number}-of-00002.safetensors"
    _shard(tmp_path, "model.safetensors", {"extra": file})
    with pytest.raises(BundleCorruptError, match=f"{file}: got none of the name 'extra'"):
        read_weights(tmp_path)
    first = next(iter(_weights()))
    other = "model-00002-of-00002.safetensors"
    _shard(tmp_path, "model.safetensors", {first: other})
    with pytest.raises(BundleCorruptError, match=f"got one of the name '{first}', expected none"):
        read_weights(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": {}}', '{"weight_map": 1}'])
def test_an_index_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(BundleCorruptError, match=r"model\.safetensors\.index\.json"):
        read_weights(tmp_path)


def test_code_in_one_of_several_files_is_refused_and_not_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    _shard(tmp_path, "pytorch_model.bin")
    torch.save({"b": _Payload(made)}, tmp_path / "pytorch_model-00002-of-00002.bin")
    with pytest.raises(BundleCorruptError, match="more than tensors"):
        read_weights(tmp_path)
    assert not made.exists()


def test_safetensors_are_preferred(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "model.safetensors")
    (tmp_path / "pytorch_model.bin").write_bytes(b"not read")
    (tmp_path / "model.safetensors.index.json").write_bytes(b"not read")
    assert read_weights(tmp_path).keys() == {"a"}


def test_safetensors_in_several_files_are_preferred_too(tmp_path: Path) -> None:
    _shard(tmp_path, "model.safetensors")
    (tmp_path / "pytorch_model.bin").write_bytes(b"not read")
    assert read_weights(tmp_path).keys() == _weights().keys()


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    torch.save({"a": torch.ones(1), "b": _Payload(made)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(BundleCorruptError, match="more than tensors"):
        read_weights(tmp_path)
    assert not made.exists()


def test_code_beside_a_checkpoint_is_not_looked_at(tmp_path: Path) -> None:
    save_file(_weights(), tmp_path / "model.safetensors")
    (tmp_path / "hf.py").write_text("raise SystemExit('this was run')")
    _fill(_backbone(), read_weights(tmp_path))


@pytest.mark.parametrize(
    ("name", "content"),
    [("model.safetensors", b"12345678"), ("pytorch_model.bin", b"12345678"), ("other", b"")],
)
def test_broken_and_missing_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    expected = BundleNotFoundError if name == "other" else BundleCorruptError
    with pytest.raises(expected, match=str(tmp_path)):
        read_weights(tmp_path)


def test_a_file_of_something_else_is_no_state_dict(tmp_path: Path) -> None:
    torch.save(torch.ones(2), tmp_path / "pytorch_model.bin")
    assert torch.equal(read_torch_file(tmp_path / "pytorch_model.bin"), torch.ones(2))
    with pytest.raises(BundleCorruptError, match="got Tensor"):
        read_weights(tmp_path)


def test_a_filled_model_computes_with_its_weights() -> None:
    weights, model = _weights(), _backbone()
    extra = {
        "pooler.dense.weight": torch.ones(8, 8),
        "pooler.dense.bias": torch.ones(8),
        "embeddings.position_ids": torch.arange(16),
    }
    _fill(model, weights | extra)
    model.eval()
    hidden = model(input_ids=torch.tensor([[1, 2, 3]])).last_hidden_state
    assert hidden.shape == (1, 3, 8)
    assert torch.isfinite(hidden).all()
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name])


def test_half_precision_weights_are_widened() -> None:
    model = _backbone()
    _fill(model, {name: value.half() for name, value in _weights().items()})
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("damage", ["missing", "unexpected", "mis-shaped"])
def test_the_first_key_that_does_not_fit_is_named(damage: str) -> None:
    weights = _weights()
    name = "encoder.layer.0.intermediate.dense.weight"
    if damage == "missing":
        del weights[name]
    elif damage == "unexpected":
        weights["encoder.layer.7.extra"] = torch.ones(1)
        name = "encoder.layer.7.extra"
    else:
        weights[name] = torch.ones(3, 3)
    with pytest.raises(BundleCorruptError, match=f"'{name}'"):
        _fill(_backbone(), weights)


def test_devices_and_precisions_that_are_not_there_are_refused() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(ConfigError, match="float32, float16, bfloat16"):
        place(model, device="cpu", precision="int8")
    with pytest.raises(ConfigError, match="nowhere"):
        place(model, device="nowhere", precision="float32")
    assert place(model, device="cpu", precision="bfloat16") == torch.device("cpu")
    assert model.weight.dtype == torch.bfloat16
