"""A released `config.yaml` is read as data, and refused where it would be more."""

from pathlib import Path

import pytest

from relik.errors import BundleCorruptError, BundleNotFoundError, ConfigError
from relik.upstream.checkpoint.settings import (
    IndexSettings,
    ReaderSettings,
    RetrieverSettings,
    by_task,
    parse_precision,
    parse_settings,
    parse_task,
)
from relik.upstream.checkpoint.targets import read_yaml

PUBLISHED = """
_target_: relik.inference.annotator.Relik
index:
  span:
    _target_: relik.retriever.indexers.inmemory.InMemoryDocumentIndex.from_pretrained
    name_or_path: org/index-span
  triplet:
    _target_: relik.retriever.indexers.inmemory.InMemoryDocumentIndex.from_pretrained
    name_or_path: org/index-triplet
metadata_fields: []
reader:
  _target_: relik.reader.pytorch_modules.triplet.RelikReaderForTripletExtraction
  transformer_model: org/reader
  use_nme: true
retriever:
  span:
    _target_: relik.retriever.pytorch_modules.model.GoldenRetriever
    question_encoder: org/encoder-span
  triplet:
    _target_: relik.retriever.pytorch_modules.model.GoldenRetriever
    question_encoder: org/encoder-triplet
task: BOTH
top_k: 50
window_size: 64
window_stride: 32
"""


def read(tmp_path: Path, text: str) -> dict[str, object]:
    pytest.importorskip("yaml")
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path)


def test_a_published_pipeline_is_read(tmp_path: Path) -> None:
    settings = parse_settings(read(tmp_path, PUBLISHED), where="config.yaml")
    assert settings.task == "both"
    assert settings.retriever == {
        "span": RetrieverSettings(question_encoder="org/encoder-span"),
        "triplet": RetrieverSettings(question_encoder="org/encoder-triplet"),
    }
    assert settings.index["triplet"] == IndexSettings(name_or_path="org/index-triplet")
    assert settings.reader == ReaderSettings(
        transformer_model="org/reader", kind="triplet", use_nme=True
    )
    assert (settings.top_k, settings.window_size, settings.window_stride) == (50, 64, 32)
    assert settings.metadata_fields == ()


def test_what_is_not_said_has_upstreams_defaults() -> None:
    settings = parse_settings({}, where="config.yaml")
    assert (settings.task, settings.top_k) == ("span", 100)
    assert (settings.retriever, settings.index, settings.reader) == ({}, {}, None)
    assert settings.window_size is None
    assert settings.window_stride is None


@pytest.mark.parametrize("task", ["span", "SPAN", "Span"])
def test_a_part_without_task_serves_the_task_of_the_pipeline(task: str) -> None:
    values = {"task": task, "retriever": {"question_encoder": "org/encoder"}}
    settings = parse_settings(values, where="config.yaml")
    assert settings.retriever == {"span": RetrieverSettings(question_encoder="org/encoder")}


def test_names_of_tasks_are_read_in_any_case() -> None:
    part = {"name_or_path": "org/index"}
    settings = parse_settings({"task": "TRIPLET", "index": {"TRIPLET": part}}, where="x")
    assert list(settings.index) == ["triplet"]
    assert parse_task("Both", where="x") == "both"
    with pytest.raises(ConfigError, match="'entities', expected SPAN, TRIPLET or BOTH"):
        parse_task("entities", where="x")


def test_one_part_serves_both_tasks_and_none_serves_no_task() -> None:
    assert by_task("encoder", "both", where="x") == {"span": "encoder", "triplet": "encoder"}
    assert by_task({"SPAN": "encoder"}, "both", where="x") == {"span": "encoder"}
    assert by_task(None, "both", where="x") == {}
    assert parse_settings({"task": "BOTH", "index": {"span": None}}, where="x").index == {}
    with pytest.raises(ConfigError, match="the task 'relations'"):
        by_task({"span": "encoder", "relations": "other"}, "both", where="x")


@pytest.mark.parametrize(
    "target",
    [
        "relik.retriever.indexers.inmemory.InMemoryDocumentIndex",
        "relik.retriever.indexers.inmemory.InMemoryDocumentIndex.from_pretrained",
        "InMemoryDocumentIndex",
    ],
)
def test_spellings_of_a_known_class_head_the_same_section(target: str) -> None:
    values = {"index": {"_target_": target, "name_or_path": "org/index"}}
    settings = parse_settings(values, where="config.yaml")
    assert settings.index == {"span": IndexSettings(name_or_path="org/index")}


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("pipeline", {"_target_": "os.system", "task": "SPAN"}),
        ("retriever", {"retriever": {"_target_": "os.system", "question_encoder": "x"}}),
        ("index", {"index": {"span": {"_target_": "builtins.eval", "name_or_path": "x"}}}),
        ("reader", {"reader": {"_target_": "subprocess.run", "transformer_model": "x"}}),
        ("reader", {"reader": {"_target_": ["os", "system"], "transformer_model": "x"}}),
    ],
)
def test_a_target_that_is_not_in_the_table_is_refused(
    section: str, values: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match="no code is imported by this name") as caught:
        parse_settings(values, where="config.yaml")
    assert "expected one of relik." in str(caught.value)
    assert section == "pipeline" or section in str(caught.value)


def test_a_refused_target_is_named() -> None:
    with pytest.raises(ConfigError, match=r"got the _target_ 'os\.system'"):
        parse_settings({"_target_": "os.system"}, where="config.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['touch {mark}']",
        "!!python/object/new:os.system ['touch {mark}']",
        "a: !!python/name:os.system",
        "a: !<tag:example.org,2024:thing> b",
        "a: [",
        "a: &a [1]\nb: [*a, *a]",
        "a: 2024-13-45",
        "a: " + "9" * 5000,
        "a: " + "[" * 9000,
        "\tx",
    ],
)
def test_yaml_that_names_code_or_is_broken_is_refused_and_runs_nothing(
    tmp_path: Path, text: str
) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(BundleCorruptError, match="not plain YAML"):
        read(tmp_path, text.replace("{mark}", str(mark)))
    assert not mark.exists()


@pytest.mark.parametrize("text", ["", "just a text", "- a\n- b", "1: a"])
def test_yaml_that_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BundleCorruptError, match="expected a mapping of settings by name"):
        read(tmp_path, text)


def test_a_settings_file_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleCorruptError, match="expected the settings of a pipeline"):
        read(tmp_path, "a: b\n" * 30_000)


def test_a_settings_file_that_is_missing_is_named(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    with pytest.raises(BundleNotFoundError, match=r"other\.yaml"):
        read_yaml(tmp_path / "other.yaml")


def test_a_variable_in_a_value_is_not_expanded(tmp_path: Path) -> None:
    values = read(tmp_path, "index:\n  name_or_path: ${oc.env:HOME}\n")
    settings = parse_settings(values, where="config.yaml")
    assert settings.index["span"].name_or_path == "${oc.env:HOME}"


def test_an_unknown_setting_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'window_size'"):
        parse_settings({"window_sise": 32}, where="config.yaml")
    with pytest.raises(ConfigError, match="did you mean 'transformer_model'"):
        parse_settings({"reader": {"transformer_modl": "x"}}, where="config.yaml")
    assert parse_settings({"later_setting": None}, where="x") == parse_settings({}, where="x")


@pytest.mark.parametrize(
    "values",
    [
        {"top_k": "many"},
        {"top_k": True},
        {"window_size": [32]},
        {"metadata_fields": "definition"},
        {"retriever": "org/encoder"},
        {"index": {"name_or_path": 3}},
        {"index": {"name_or_path": "x", "use_faiss": "yes"}},
    ],
)
def test_a_value_of_another_type_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="got"):
        parse_settings(values, where="config.yaml")


def test_a_section_without_its_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="got no question_encoder"):
        parse_settings({"retriever": {"device": "cpu"}}, where="config.yaml")


def test_the_kind_of_reader_follows_its_target_and_else_the_task() -> None:
    reader = {"transformer_model": "org/reader"}
    for task, kind in (("SPAN", "span"), ("TRIPLET", "triplet"), ("BOTH", "triplet")):
        settings = parse_settings({"task": task, "reader": reader}, where="x")
        assert settings.reader is not None
        assert settings.reader.kind == kind
    named = {**reader, "_target_": "RelikReaderForSpanExtraction"}
    settings = parse_settings({"task": "TRIPLET", "reader": named}, where="x")
    assert settings.reader is not None
    assert settings.reader.kind == "span"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "float32"),
        (32, "float32"),
        ("fp32", "float32"),
        (16, "float16"),
        ("half", "float16"),
        ("FP16", "float16"),
        ("bf16", "bfloat16"),
        ("torch.bfloat16", "bfloat16"),
    ],
)
def test_precisions_are_read_as_upstream_spells_them(given: object, expected: str) -> None:
    assert parse_precision(given, where="x") == expected


@pytest.mark.parametrize("given", [8, "int8", True, 32.5])
def test_another_precision_is_refused(given: object) -> None:
    with pytest.raises(ConfigError, match="expected 32, 16 or bf16"):
        parse_precision(given, where="x")
