"""A knowledge base keeps what texts name, with the facts of Wikidata and nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from relik.errors import ConfigError
from relik_training.data.knowledge import KnowledgeConfig, build_knowledge, ensure_knowledge

ENTITIES = [
    ("Q1", "Ada Lovelace", "English mathematician", "Wikidata"),
    ("Q2", "London", "capital of England", "Wikidata"),
    ("Q3", "Shop No. 9", "brand of shops", "Wikidata+NSI"),
    ("Q4", "1843", "year", "Wikidata"),
    ("Q5", "Oslo", "", "Wikidata"),
    ("Q6", "Rome", "capital of Italy", "Wikidata"),
]


@pytest.fixture
def config(tmp_path: Path) -> KnowledgeConfig:
    _lines(
        tmp_path / "kb.jsonl",
        [
            {
                "id": key,
                "name": name,
                "aliases": [f"{name} {n}" for n in range(20)],
                "description": description,
                "source": source,
                "long_description": "Prose of an encyclopedia.",
            }
            for key, name, description, source in ENTITIES
        ],
    )
    _lines(tmp_path / "triples.jsonl", [{"h": "Q1", "r": ["P19", "P106"], "t": "Q2"}])
    text = "Ada Lovelace of London, Countess Lovelace, she of the Oslo of old"
    spans = [(0, 12, "Q1"), (16, 22, "Q2"), (24, 41, "Q1"), (43, 46, "Q1"), (54, 58, "Q5")]
    row = {
        "text": text,
        "spans": [[start, end, key, text[start:end]] for start, end, key in spans],
        "triples": [[0, "P19", 1], [0, "P7", 1], [0, "P19", 2], [0, "P99", 1]],
    }
    _lines(tmp_path / "text.jsonl", [row])
    relations = [
        {"id": "P7", "name": "knows", "aliases": ["friend of"], "description": "is a friend"},
        {"id": "P19", "name": "place of birth"},
        {"id": "P99", "name": "None"},
        {"id": "P1", "name": "unused"},
    ]
    _lines(tmp_path / "relations.jsonl", relations)
    return KnowledgeConfig(
        entities="kb.jsonl",
        relations="relations.jsonl",
        triples="triples.jsonl",
        linked_text=("text.jsonl",),
        relation_text=("text.jsonl",),
        max_aliases=3,
        out=str(tmp_path / "out"),
    )


def _lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _read(config: KnowledgeConfig, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (Path(config.out) / name).read_text().splitlines()]


def test_linked_entities_come_first_and_undescribed_ones_not_at_all(
    config: KnowledgeConfig, tmp_path: Path
) -> None:
    assert build_knowledge(config, tmp_path) == {"entities": 5, "relations": 2}
    assert [row["id"] for row in _read(config, "entities.jsonl")] == ["Q1", "Q2", "Q6", "Q3", "Q4"]
    build_knowledge(replace(config, max_entities=2), tmp_path)
    assert [row["id"] for row in _read(config, "entities.jsonl")] == ["Q1", "Q2"]


def test_only_facts_are_kept(config: KnowledgeConfig, tmp_path: Path) -> None:
    build_knowledge(config, tmp_path)
    ada = _read(config, "entities.jsonl")[0]
    assert ada == {
        "id": "Q1",
        "name": "Ada Lovelace",
        "aliases": [f"Ada Lovelace {n}" for n in range(3)],
        "description": "English mathematician",
        "types": ["person"],
        # "she", seen once and unlike the name, may be a slip of the annotator.
        "surfaces": {"Ada Lovelace": 1, "Countess Lovelace": 1},
        "partials": ["Lovelace"],
    }


def test_names_that_were_escaped_twice_are_put_right(
    config: KnowledgeConfig, tmp_path: Path
) -> None:
    row = {
        "id": "Q1",
        "name": r"Beyonc\u00E9",
        "aliases": ["Beyoncé", r"Queen \u0042"],
        "description": "singer",
        "source": "Wikidata",
    }
    _lines(tmp_path / "kb.jsonl", [row])
    build_knowledge(config, tmp_path)
    (held,) = _read(config, "entities.jsonl")
    assert (held["name"], held["aliases"]) == ("Beyoncé", ["Queen B"])


def test_other_spellings_and_initials_are_names_too(
    config: KnowledgeConfig, tmp_path: Path
) -> None:
    rows = [
        {"id": "Q1", "name": "Lech Wałęsa", "description": "Polish politician"},
        {"id": "Q2", "name": "Kurdistan Democratic Party", "description": "political party"},
    ]
    _lines(tmp_path / "kb.jsonl", [{**row, "aliases": [], "source": "Wikidata"} for row in rows])
    build_knowledge(config, tmp_path)
    walesa, party = (row["partials"] for row in _read(config, "entities.jsonl"))
    assert walesa == ["Wałęsa", "Lech Walesa", "Walesa"]
    assert "KDP" in str(party)


def test_relations_come_by_use(config: KnowledgeConfig, tmp_path: Path) -> None:
    build_knowledge(config, tmp_path)
    relations = _read(config, "relations.jsonl")
    assert [row["id"] for row in relations] == ["P19", "P7"]
    assert relations[1]["description"] == "is a friend"


def test_knowledge_that_is_there_is_left_alone(config: KnowledgeConfig, tmp_path: Path) -> None:
    out = ensure_knowledge(config, tmp_path)
    (out / "entities.jsonl").write_text("mine")
    ensure_knowledge(config, tmp_path)
    assert (out / "entities.jsonl").read_text() == "mine"
    (out / "relations.jsonl").unlink()
    ensure_knowledge(config, tmp_path)
    assert (out / "entities.jsonl").read_text() != "mine"


def test_knowledge_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not name entities"):
        ensure_knowledge(KnowledgeConfig(out=str(tmp_path)), tmp_path)
