"""The recipes of this repository say what they said before 0.12, when they were laid out anew."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from relik.config import PipelineConfig, WindowConfig, changed, read_pipeline
from relik_training.recipes.recipe import read_reader_recipe, read_retriever_recipe
from relik_training.recipes.relation_settings import read_relation_recipe
from relik_training.recipes.run_settings import RunSettings
from relik_training.recipes.schema_settings import read_schema_recipe

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
OLD = HERE / "recipes-0.11"
READ: dict[str, Any] = {
    "reader": read_reader_recipe,
    "retriever": read_retriever_recipe,
    "schema": read_schema_recipe,
    "relations": read_relation_recipe,
}
# What 0.11.0 read from them; `bundle` is what the bundle's pipeline.toml had before any fit.
HELD: dict[str, Any] = json.loads((OLD / "read.json").read_text("utf-8"))


def _bundle(config: RunSettings, kind: str) -> dict[str, Any]:
    """Give what the bundle has, in the tables of before."""
    base = PipelineConfig(model=config.model, windows=config.windows)
    if kind == "reader":
        # A retriever run leaves the defaults; what starts from a bundle has its settings.
        stands = getattr(config, "base", "")
        shipped = ROOT / "tests" / "golden" / "pipeline-0.11.toml"
        left = PipelineConfig(windows=WindowConfig(size=64, stride=48))
        base = left if stands else read_pipeline(shipped)
    made = dataclasses.asdict(changed(base, config.pipeline, where="[pipeline]"))
    fusion = made["retriever"].pop("fusion")
    return {
        "windows": made["windows"],
        "retriever": made["retriever"] | fusion,
        "reader": made["reader"] | made["rules"],
    }


@pytest.mark.parametrize("name", HELD)
def test_a_recipe_means_what_it_meant(name: str) -> None:
    held = HELD[name]
    config = READ[held["kind"]](ROOT / name)
    settings = json.loads(json.dumps(dataclasses.asdict(config)))
    assert settings.keys() - held["settings"].keys() == {"pipeline", "evaluation"}
    assert {name: settings[name] for name in held["settings"]} == held["settings"]
    if held["bundle"]:
        assert json.loads(json.dumps(_bundle(config, held["kind"]))) == held["bundle"]


def test_every_recipe_is_compared() -> None:
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "training" / "recipes").glob("*.toml")}
    assert found | {"docs/tutorial/recipe.toml"} == set(HELD)
