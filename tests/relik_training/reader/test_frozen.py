"""Frozen layers stay as they were, and what they make of a row is computed once."""

import pytest

pytest.importorskip("torch")

import torch  # needs torch
from torch import nn  # needs torch
from transformers import BertConfig, BertModel, MPNetConfig, MPNetModel  # needs torch

from relik.errors import ConfigError  # needs torch
from relik.models.mpnet import MPNetLayers  # needs torch
from relik.models.reader_module import HeadConfig, ReaderModel  # needs torch
from relik_training.reader.frozen import CachedBackbone, freeze_lowest  # needs torch

SIZES = {
    "vocab_size": 11,
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
}


def _bert() -> nn.Module:
    return BertModel(BertConfig(**SIZES), add_pooling_layer=False)


def _mpnet() -> nn.Module:
    return MPNetLayers(MPNetModel(MPNetConfig(**SIZES), add_pooling_layer=False), token_types=4)


@pytest.fixture(params=[_bert, _mpnet], ids=["bert", "mpnet"])
def model(request: pytest.FixtureRequest) -> ReaderModel:
    torch.manual_seed(0)
    config = HeadConfig(hidden_size=8, linears_hidden_size=4, layer_norm_eps=1e-5)
    return ReaderModel(request.param(), config, n_markers=3)


def _states(layers: nn.Module, embedded: torch.Tensor) -> torch.Tensor:
    mask = torch.tensor([[1, 1, 1, 1, 1, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0]])
    hidden = layers(
        inputs_embeds=embedded,
        token_type_ids=torch.tensor([[0, 1, 1, 0, 0, 0]] * 3),
        attention_mask=mask,
    ).last_hidden_state
    states: torch.Tensor = hidden[mask.bool()]
    return states


def test_states_are_those_of_the_whole_backbone(model: ReaderModel) -> None:
    model.eval()
    embedded = torch.randn(3, 6, 8)
    plain = _states(model.backbone, embedded)
    names = list(model.state_dict())
    freeze_lowest(model, 2)
    assert list(model.state_dict()) == names
    # Computed, then remembered, then beside rows that are new.
    for rows in (embedded, embedded, torch.stack((embedded[0], torch.randn(6, 8), embedded[2]))):
        states = _states(model.backbone, rows)
        torch.testing.assert_close(states[:5], plain[:5])
        torch.testing.assert_close(states[7:], plain[7:])


def test_only_what_is_above_learns(model: ReaderModel) -> None:
    model.train()
    before = {name: each.clone() for name, each in model.named_parameters()}
    freeze_lowest(model, 2)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    (_states(model.backbone, torch.randn(3, 6, 8)) * torch.arange(8)).sum().backward()
    optimizer.step()
    learnt = {n for n, each in model.named_parameters() if not torch.equal(each, before[n])}
    assert learnt
    assert all(name.startswith("backbone.encoder.layer.2.") for name in learnt)
    assert not model.markers.requires_grad


def test_frozen_layers_have_no_dropout_and_others_have(model: ReaderModel) -> None:
    freeze_lowest(model, 2)
    embedded, types = torch.randn(6, 8), torch.zeros(6, dtype=torch.int64)
    model.eval()
    quiet = model.backbone._lowest(embedded, types)
    model.backbone._cached.clear()
    model.train()
    assert torch.equal(model.backbone._lowest(embedded, types), quiet)
    rows = torch.stack((embedded, embedded, embedded))
    assert not torch.equal(_states(model.backbone, rows), _states(model.backbone, rows))


def test_rows_beyond_the_memory_are_computed_each_time() -> None:
    layers = _bert().eval()
    small = CachedBackbone(layers, 2, most_bytes=6 * 8 * 4)
    embedded = torch.randn(3, 6, 8)
    first, second = _states(small, embedded), _states(small, embedded)
    assert len(small._cached) == 1
    assert torch.equal(first, second)


def test_none_frozen_changes_nothing(model: ReaderModel) -> None:
    layers = model.backbone
    freeze_lowest(model, 0)
    assert model.backbone is layers
    assert all(each.requires_grad for each in model.parameters())


@pytest.mark.parametrize("count", [-1, 3])
def test_layers_that_cannot_be_frozen_are_refused(model: ReaderModel, count: int) -> None:
    with pytest.raises(ConfigError, match=f"frozen_layers: got {count}, expected 0 to 2"):
        freeze_lowest(model, count)
