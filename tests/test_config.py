"""Settings of a bundle: what is read, what is refused, and files of before 0.12."""

import dataclasses
import tomllib
from pathlib import Path

import pytest

from relik.config import (
    FusionWeights,
    PipelineConfig,
    ReaderConfig,
    RetrieverConfig,
    RulesConfig,
    read_pipeline,
    translated,
)
from relik.errors import ConfigError

OLD = Path(__file__).parent / "golden" / "pipeline-0.11.toml"
"""`pipeline.toml` of the default bundle 0.11."""


def test_an_old_file_means_what_it_meant() -> None:
    old = tomllib.loads(OLD.read_text("utf-8"))
    new = dataclasses.asdict(read_pipeline(OLD))
    fusion = new["retriever"].pop("fusion")
    now = {
        **new,
        "retriever": new["retriever"] | fusion,
        "reader": new.pop("rules") | new["reader"],
    }
    del now["rules"]
    for name in ("functional", "inverse_functional"):
        now["reader"][name] = list(now["reader"][name])
    assert now == old


def test_an_old_file_changes_the_tables_that_it_names_alone() -> None:
    old = {"reader": {"nil_weight": -1.0, "threshold": 0.4}, "retriever": {"prior_weight": 0.2}}
    assert translated(old, where="here") == {
        "reader": {"threshold": 0.4},
        "rules": {"nil_weight": -1.0},
        "retriever": {"fusion": {"prior_weight": 0.2}},
    }
    assert old["reader"] == {"nil_weight": -1.0, "threshold": 0.4}


def test_a_file_of_today_is_not_translated() -> None:
    today = {
        "retriever": {"entity_top_k": 9, "fusion": {"prior_weight": 0.2}},
        "reader": {"threshold": 0.4},
        "rules": {"prior_weight": 0.6, "functional": ["P19"]},
    }
    assert translated(today, where="here") == today


def test_a_setting_in_its_old_and_its_new_table_is_refused() -> None:
    both = {"reader": {"nil_weight": -1.0}, "rules": {"nil_weight": -2.0}}
    with pytest.raises(ConfigError, match=r"here: got nil_weight in \[reader\] and in \[rules\]"):
        translated(both, where="here")


def test_an_unknown_setting_of_an_old_file_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_text(OLD.read_text("utf-8").replace("max_spans", "max_span"))
    with pytest.raises(ConfigError, match=r"'max_span', did you mean 'max_spans'"):
        read_pipeline(path)


def test_no_setting_of_today_has_the_name_of_one_that_moves() -> None:
    for stays, moves in ((ReaderConfig, RulesConfig), (RetrieverConfig, FusionWeights)):
        kept, gone = ({each.name for each in dataclasses.fields(kind)} for kind in (stays, moves))
        assert not kept & gone


def test_the_encoder_alone_keeps_its_own_weight() -> None:
    config = PipelineConfig().retriever.dense_only()
    assert config.fusion.dense_weight == FusionWeights().dense_weight
    assert config.fusion.bias == FusionWeights().bias
    assert config.fusion.leader_weight == config.fusion.prior_weight == 0.0
