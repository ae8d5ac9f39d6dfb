"""A closed schema from its recipe to bundles that annotate, and what it refuses."""

import gzip
import json
from pathlib import Path

import pytest

from relik.errors import ConfigError, InputError
from relik_training.recipes.recipe_files import Overrides
from relik_training.recipes.schema_settings import (
    SchemaTraining,
    read_schema_recipe,
)
from relik_training.schema.schema_data import read_typed_examples, write_splits

from .conftest import PEOPLE, PLACES, World

TABLES = """
[[types]]
id = "Peop"
name = "person"
[[types]]
id = "Loc"
name = "city"
[[relations]]
id = "Live_In"
name = "lived in"
[[relations]]
id = "Born_In"
name = "born in"
[[train]]
path = "typed.jsonl"
folds = [0, 1]
[[dev]]
path = "typed.jsonl"
folds = [2]
[[test]]
path = "typed.jsonl"
folds = [3]
[[provenance]]
name = "A small world"
licence = "CC0-1.0"
used_for = "tests"
"""


def _row(number: int) -> dict[str, object]:
    person, place, other = PEOPLE[number % 6], PLACES[number % 5], PLACES[(number + 1) % 5]
    text = f"{person} was born in {place} and later lived in {other} ."
    spans = []
    at = 0
    for surface, kind in ((person, "Peop"), (place, "Loc"), (other, "Loc")):
        at = text.index(surface, at)
        spans.append([at, at + len(surface), None, surface, {"type": kind}])
    triples = [[0, "Born_In", 1], [0, "Live_In", 2]]
    doc_id = f"{number}"
    return {"doc_id": doc_id, "text": text, "spans": spans, "triples": triples, "fold": number % 4}


def _write(world: World, rows: list[dict[str, object]]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (world.data / "typed.jsonl").write_text(lines)


def _recipe(world: World, tables: str = TABLES, **settings: object) -> Path:
    values = {
        "backbone": str(world.backbone),
        "data": str(world.data),
        "out": str(world.root / "schema"),
        "model": "tiny-schema",
        "linears_hidden_size": 16,
        "max_tokens": 60,
        "batch_size": 2,
        "max_steps": 6,
        "warmup_steps": 2,
        "checkpoint_steps": 3,
        "learning_rate": 1e-3,
        "precision": "32-true",
        "seed": 3,
    } | settings
    path = world.root / "schema.toml"
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    path.write_text(text + tables)
    return path


@pytest.fixture
def typed(world: World) -> World:
    _write(world, [_row(number) for number in range(16)])
    return world


def _config(world: World, tables: str = TABLES, **settings: object) -> SchemaTraining:
    return read_schema_recipe(_recipe(world, tables, **settings))


def test_folds_are_written_as_splits(typed: World) -> None:
    splits = write_splits(_config(typed))
    numbers = {
        name: [json.loads(line)["fold"] for line in gzip.decompress(path.read_bytes()).splitlines()]
        for name, path in splits.items()
    }
    assert {name: sorted(set(folds)) for name, folds in numbers.items()} == {
        "train": [0, 1],
        "dev": [2],
        "test": [3],
    }


def test_a_file_of_another_schema_is_read_by_the_names_of_the_recipe(typed: World) -> None:
    renamed = """folds = [0, 1]
sentences = true
[train.type_names]
Peop = "Peop"
Loc = "Loc"
[train.relation_names]
"Peop Live_In" = "Born_In"
"""
    splits = write_splits(_config(typed, TABLES.replace("folds = [0, 1]\n", renamed)))
    first = read_typed_examples([splits["train"]])[0]
    assert [m.entity_id for m in first.mentions] == ["Peop", "Loc", "Loc"]
    assert first.triples == ((0, "Born_In", 2),)


def test_examples_say_what_is_not_annotated(typed: World) -> None:
    partial = """folds = [0]
complete = false
[[train]]
path = "typed.jsonl"
folds = [1]
relations = false
"""
    splits = write_splits(_config(typed, TABLES.replace("folds = [0, 1]\n", partial)))
    examples = read_typed_examples([splits["train"]])
    assert {(bool(e.unknown), e.relations) for e in examples[:4]} == {(True, "all")}
    assert {(bool(e.unknown), e.relations) for e in examples[4:]} == {(False, "none")}
    assert examples[0].unknown[0].end == len(examples[0].text)


def test_examples_have_types_for_ids_and_every_mention(typed: World) -> None:
    splits = write_splits(_config(typed))
    examples = read_typed_examples([splits["train"], splits["dev"]])
    assert len(examples) == 12
    first = examples[0]
    assert [m.entity_id for m in first.mentions] == ["Peop", "Loc", "Loc"]
    assert first.triples == ((0, "Born_In", 1), (0, "Live_In", 2))
    assert (first.unknown, first.relations, first.doubtful) == ((), "all", frozenset())


def test_of_mentions_that_overlap_the_longer_stays(typed: World) -> None:
    row = _row(0)
    text = str(row["text"])
    row["spans"] = [*row["spans"], [0, 7, None, text[:7], {"type": "Loc"}]]
    row["triples"] = [*row["triples"], [3, "Live_In", 1]]
    _write(typed, [row, *(_row(number) for number in range(1, 16))])
    first = read_typed_examples([write_splits(_config(typed))["train"]])[0]
    assert (first.mentions[0].span.start, first.mentions[0].span.end) == (0, 7)
    # The triples of the shorter mention went with it.
    assert first.triples == ((0, "Live_In", 1),)


def test_a_type_that_the_recipe_has_not_is_refused(typed: World) -> None:
    tables = TABLES.replace('id = "Loc"', 'id = "City"')
    with pytest.raises(InputError, match="type 'Loc'"):
        write_splits(_config(typed, tables))


def test_a_split_without_texts_is_refused(typed: World) -> None:
    with pytest.raises(InputError, match=r"no texts in \[\[dev\]\]"):
        write_splits(_config(typed, TABLES.replace("folds = [2]", "folds = [7]")))


def test_a_missing_file_is_named(typed: World) -> None:
    with pytest.raises(ConfigError, match=r"absent\.jsonl: is missing"):
        write_splits(_config(typed, TABLES.replace("typed.jsonl", "absent.jsonl")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('id = "Loc"', 'id = "Peop"'), "'Peop' twice"),
        (('name = "city"', ""), r"types\[1\]\.name: got nothing"),
        (('name = "city"', 'name = ""'), "expected both"),
        (("[[dev]]", "[[devs]]"), "'dev'"),
        (("folds = [2]", "fold = [2]"), "did you mean 'folds'"),
    ],
)
def test_a_wrong_recipe_is_refused(typed: World, change: tuple[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _config(typed, TABLES.replace(*change))


def test_the_command_line_overrules_the_recipe(typed: World) -> None:
    said = Overrides(data="d", out="o", backbone="b", seed=0)
    config = read_schema_recipe(_recipe(typed, start="default"), said)
    assert (config.data, config.out, config.backbone, config.seed) == ("d", "o", "b", 0)
    # What it begins with is of the recipe's backbone.
    assert config.start == ""


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("conll04", "default"),
        ("scierc", "default"),
        ("ade", "default"),
        ("conll04-start", ""),
        ("conll04-mpnet", "runs/conll04-start/seed-13"),
    ],
)
def test_the_recipes_that_ship_can_be_read(name: str, start: str) -> None:
    path = Path(__file__).parents[2] / "training" / "recipes" / f"{name}.toml"
    config = read_schema_recipe(path)
    assert config.provenance
    assert config.start == start
