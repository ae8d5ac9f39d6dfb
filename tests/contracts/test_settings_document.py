"""docs/settings.md says of each setting what the code and the default bundle say."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from relik.config import PipelineConfig, read_pipeline
from relik.toml_settings import describe, settings_of

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "settings.md").read_text("utf-8")
ROW = re.compile(r"^\| `([\w.]+)` \| `([^`]*)` \| (.+?) \| (.+?) \| (.+) \|$", re.M)
ROWS = {row[0]: row[1:] for row in ROW.findall(TEXT)}
FITTED = ("retriever.fusion", "calibration")
MOST = 15


def leaves(kind: type, config: Any, prefix: str = "") -> dict[str, tuple[object, Any]]:
    """Give annotation and value of each setting by its name."""
    found: dict[str, tuple[object, Any]] = {}
    for name, annotation in settings_of(kind).items():
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            found |= leaves(type(value), value, f"{prefix}{name}.")
        else:
            found[prefix + name] = annotation, value
    return found


DEFAULTS = leaves(PipelineConfig, PipelineConfig())
BUNDLE = leaves(
    PipelineConfig, read_pipeline(ROOT / "relik" / "data" / "default" / "pipeline.toml")
)


def test_every_setting_has_one_row() -> None:
    assert set(ROWS) == set(DEFAULTS)
    assert len(ROW.findall(TEXT)) == len(ROWS)


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_row_has_default_and_range_of_the_code_and_value_of_the_bundle(name: str) -> None:
    default, bundle, span, effect = ROWS[name]
    annotation, value = DEFAULTS[name]
    assert default == json.dumps(value)
    shipped = json.dumps(BUNDLE[name][1])
    counted = re.fullmatch(r"(\d+) ids", bundle)
    assert int(counted[1]) == len(BUNDLE[name][1]) if counted else bundle == f"`{shipped}`"
    assert span == describe(annotation).removeprefix("a ")
    assert effect


def test_a_person_chooses_few() -> None:
    heading = {
        name: TEXT[: TEXT.index(f"| `{name}` |")].rpartition("\n## ")[2].splitlines()[0]
        for name in ROWS
    }
    by_table = {
        name: "Fitted tables"
        if name.rpartition(".")[0] in FITTED
        else "Rules"
        if name.startswith("rules.")
        else "Settings that you choose"
        for name in ROWS
    }
    assert heading == by_table
    assert list(by_table.values()).count("Settings that you choose") <= MOST
