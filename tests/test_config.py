"""Settings of a bundle: what is read, what is refused, and files of before 0.12."""

import copy
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
    WindowConfig,
    changed,
    read_pipeline,
    translate,
)
from relik.errors import ConfigError
from relik.toml_settings import open_toml

OLD = Path(__file__).parent / "golden" / "pipeline-0.11.toml"
"""`pipeline.toml` of the default bundle 0.11."""


def test_an_old_file_means_what_it_meant() -> None:
    old = tomllib.loads(OLD.read_text("utf-8"))
    new = dataclasses.asdict(read_pipeline(OLD))
    del old["retriever"]["max_tokens"]  # nothing read it
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


def written(folder: Path, text: str) -> Path:
    path = folder / "pipeline.toml"
    path.write_text(text)
    return path


def test_an_old_file_changes_the_tables_that_it_names_alone(tmp_path: Path) -> None:
    old = "[reader]\nnil_weight = -1.0\nthreshold = 0.4\n[retriever]\nprior_weight = 0.2\n"
    file = open_toml(written(tmp_path, old))
    translate(file)
    assert file.values == {
        "reader": {"threshold": 0.4},
        "rules": {"nil_weight": -1.0},
        "retriever": {"fusion": {"prior_weight": 0.2}},
    }


def test_a_file_of_today_is_not_translated(tmp_path: Path) -> None:
    today = "[retriever]\nentity_top_k = 9\nfusion = { bias = 0.2 }\n[rules]\nnil_weight = 0.6\n"
    file = open_toml(written(tmp_path, today))
    before = copy.deepcopy(file.values)
    translate(file)
    assert file.values == before
    assert not file.moved


def test_a_setting_in_its_old_and_its_new_table_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "[rules]\nnil_weight = -1.0\n[reader]\nnil_weight = -2.0\n")
    with pytest.raises(ConfigError, match=r"toml:4: got reader\.nil_weight and rules\.nil_weight"):
        read_pipeline(path)


def test_all_that_is_wrong_with_an_old_file_is_named_with_its_line(tmp_path: Path) -> None:
    text = OLD.read_text("utf-8").replace("max_spans", "max_span").replace("= 2.0", "= -2.0")
    path = written(tmp_path, text)
    numbers = {line.split()[0]: at for at, line in enumerate(text.split("\n"), 1) if line}
    with pytest.raises(ConfigError) as raised:
        read_pipeline(path)
    assert str(raised.value) == (
        f"{path}: got 2 wrong settings\n"
        f"  {path}:{numbers['max_span']}: reader.max_span: got an unknown setting, did you mean "
        "'max_spans'?\n"
        f"  {path}:{numbers['apart_weight']}: rules.apart_weight: got -2.0, expected a number at "
        "least 0: change it"
    )


def test_some_settings_take_the_place_of_others() -> None:
    table = {"windows": {"size": 8, "stride": 4}, "rules": {"functional": ["P19"]}}
    made = changed(PipelineConfig(model="m"), table, where="here")
    assert made.windows == WindowConfig(size=8, stride=4)
    assert made.rules == RulesConfig(functional=("P19",))
    assert (made.model, made.reader) == ("m", ReaderConfig())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"reader": {"relations_per_pair": -1}}, "reader.relations_per_pair: got -1, expected a"),
        ({"rules": {"apart_weight": -1.0}}, "rules.apart_weight: got -1.0, expected a number at"),
        ({"rules": {"functional": ["P1", 131]}}, r"functional\[1\]: got 131, expected a string"),
        ({"rules": {"inverse_functional": "P1"}}, "got 'P1', expected a list, each a string"),
        ({"windows": {"size": 0}}, "windows.size: got 0, expected a whole number at least 1"),
    ],
)
def test_what_no_setting_can_be_is_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        changed(PipelineConfig(), table, where="here")


def test_settings_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="here: windows: got windows of size 8 and stride 56"):
        changed(PipelineConfig(), {"windows": {"size": 8}}, where="here")


def test_no_setting_of_today_has_the_name_of_one_that_moves() -> None:
    for stays, moves in ((ReaderConfig, RulesConfig), (RetrieverConfig, FusionWeights)):
        kept, gone = ({each.name for each in dataclasses.fields(kind)} for kind in (stays, moves))
        assert not kept & gone


def test_the_encoder_alone_keeps_its_own_weight() -> None:
    config = PipelineConfig().retriever.dense_only()
    assert config.fusion.dense_weight == FusionWeights().dense_weight
    assert config.fusion.bias == FusionWeights().bias
    assert config.fusion.leader_weight == config.fusion.prior_weight == 0.0
