"""What is written as `pipeline.toml` is read as it was."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relik.config import (
    CalibrationConfig,
    FusionWeights,
    PipelineConfig,
    ReaderConfig,
    RetrieverConfig,
    RulesConfig,
    read_pipeline,
)
from relik_training.recipes.bundle_settings import write_toml

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
CONFIGS = st.builds(
    PipelineConfig,
    model=st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    retriever=st.builds(RetrieverConfig, fusion=st.builds(FusionWeights, bias=NUMBERS)),
    reader=st.builds(ReaderConfig, look_again=st.booleans()),
    rules=st.builds(RulesConfig, functional=st.sampled_from([(), ("P19", 'a"b')])),
    calibration=st.builds(CalibrationConfig, span_shift=NUMBERS),
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CONFIGS)
def test_settings_are_read_as_they_were_written(tmp_path: Path, config: PipelineConfig) -> None:
    path = tmp_path / "pipeline.toml"
    write_toml(config, path)
    assert read_pipeline(path) == config


@pytest.mark.parametrize("table", ["[rules]", "[retriever.fusion]", "[calibration]"])
def test_fitted_settings_and_rules_have_tables_of_their_own(tmp_path: Path, table: str) -> None:
    write_toml(PipelineConfig(), tmp_path / "pipeline.toml")
    assert f"\n{table}\n" in (tmp_path / "pipeline.toml").read_text()
