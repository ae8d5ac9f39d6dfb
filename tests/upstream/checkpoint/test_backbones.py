"""Backbones are built from settings alone, and settings cannot name code."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from relik.errors import BundleCorruptError, BundleNotFoundError, ConfigError
from relik.upstream.checkpoint.backbone_settings import (
    KNOWN,
    find_backbone,
    max_positions,
    read_config,
)
from relik.upstream.checkpoint.backbones import build_backbone

TINY = {
    "model_type": "bert",
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "max_position_embeddings": 16,
    "vocab_size": 99,
}
# Millions of parameters without word embeddings, as published, and width.
PUBLISHED = {"small": (44, 768), "base": (86, 768), "large": (304, 1024)}


@pytest.mark.parametrize("size", PUBLISHED)
def test_known_backbones_have_their_published_size(size: str) -> None:
    millions, width = PUBLISHED[size]
    backbone = build_backbone(
        find_backbone(f"microsoft/deberta-v3-{size}", beside=Path("reader")),
        n_words=128100,
        source=Path("reader"),
    )
    words = backbone.get_input_embeddings().weight
    count = sum(p.numel() for p in backbone.parameters()) - words.numel()
    assert tuple(words.shape) == (128100, width)
    assert abs(count / 1e6 - millions) < 1.5
    assert backbone.config.position_buckets == 256


def test_known_backbones_are_not_shared_between_callers() -> None:
    name = "microsoft/deberta-v3-small"
    find_backbone(name, beside=Path("reader"))["num_hidden_layers"] = 1
    assert KNOWN[name]["num_hidden_layers"] == 6


def test_building_takes_no_memory_and_no_random_numbers() -> None:
    before = torch.get_rng_state()
    backbone = build_backbone(TINY, n_words=40, source=Path("reader"))
    assert all(p.is_meta for p in backbone.parameters())
    assert backbone.get_input_embeddings().weight.shape == (40, 8)
    assert torch.equal(torch.get_rng_state(), before)


def test_settings_that_name_code_are_ignored() -> None:
    hostile = {
        **TINY,
        "attn_implementation": "someone/kernel",
        "_attn_implementation": "someone/kernel",
        "auto_map": {"AutoModel": "hf.Model"},
        "quantization_config": {"quant_method": "someone"},
    }
    backbone = build_backbone(hostile, n_words=4, source=Path("reader"))
    assert type(backbone).__name__ == "BertModel"
    assert backbone.config._attn_implementation in ("sdpa", "eager")
    assert not hasattr(backbone.config, "auto_map")


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "gpt2"},
        {},
        {**TINY, "num_attention_heads": 3},
        {**TINY, "hidden_size": "wide"},
        {**TINY, "hidden_act": "os.system"},
    ],
)
def test_other_settings_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(BundleCorruptError, match="reader"):
        build_backbone(config, n_words=4, source=Path("reader"))


@pytest.mark.parametrize("place", ["beside", "inside", "given"])
def test_a_backbone_is_found_in_a_folder(tmp_path: Path, place: str) -> None:
    reader = tmp_path / "reader"
    folder = {"beside": tmp_path, "inside": reader, "given": tmp_path / "far"}[place] / "backbone"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(TINY))
    given = folder if place == "given" else None
    assert find_backbone("backbone", beside=reader, folder=given) == TINY


def test_a_backbone_outside_of_the_model_is_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    beside = tmp_path / "model" / "reader"
    beside.mkdir(parents=True)
    for name in ("../..", str(tmp_path), "", "google/unheard-of"):
        with pytest.raises(ConfigError, match="microsoft/deberta-v3-base"):
            find_backbone(name, beside=beside)


def test_settings_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(BundleNotFoundError, match=r"config\.json"):
        read_config(path)
    for broken in ("{", "[]"):
        path.write_text(broken)
        with pytest.raises(BundleCorruptError, match=r"config\.json"):
            read_config(path)


def test_only_absolute_positions_limit_a_row() -> None:
    assert max_positions(TINY) == 16
    assert max_positions(KNOWN["microsoft/deberta-v3-large"]) is None
    assert max_positions({"model_type": "deberta-v2", "max_position_embeddings": 64}) == 64
