"""The knowledge base of a bundle: selection of entities and relations, with surface form counts.

It contains facts only: ids, names, aliases, short descriptions, coarse types and counts.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relik.errors import ConfigError
from relik.names.language import DEFAULT_LANGUAGE, open_language
from relik.toml_settings import Natural, Positive
from relik.types import Entity
from relik_index.names.enrich import other_forms
from relik_index.names.entity_types import coarse_types, is_date
from relik_index.sources.json_lines import unescaped
from relik_index.sources.linked_text import trusted
from relik_training.data.json_lines import read_jsonl, write_jsonl


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeConfig:
    """Sources and limits of the knowledge base.

    Args:
        entities: JSON Lines of entities with Wikidata ids; "" if `out` already has its files.
        relations: JSON Lines of relations.
        triples: JSON Lines of `h, r, t` statements.
        linked_text: Annotated training paragraphs, whose mentions give counts of surface forms;
            no evaluation texts, which must stay unseen.
        relation_text: Annotated training texts, whose triples rank the relations.
        max_entities: Maximum number of entities.
        max_relations: Maximum number of relations.
        max_aliases: Maximum aliases per entity.
        out: Folder for entities.jsonl and relations.jsonl.
    """

    entities: str = ""
    relations: str = ""
    triples: str = ""
    linked_text: tuple[str, ...] = ()
    relation_text: tuple[str, ...] = ()
    max_entities: Positive = 98_500
    max_relations: Positive = 200
    max_aliases: Natural = 5
    out: str = "runs/knowledge"


def build_knowledge(config: KnowledgeConfig, data: Path) -> dict[str, int]:
    """Write the entities and relations of a bundle, and return how many there are.

    Args:
        data: Folder of the files in `config`.
    """
    out = Path(config.out)
    surfaces, used = _read_surfaces(config, data)
    properties: defaultdict[str, set[str]] = defaultdict(set)
    degree: Counter[str] = Counter()
    relation_counts: Counter[str] = Counter()
    for triple in read_jsonl(data / config.triples):
        properties[triple["h"]].update(triple["r"])
        degree.update((triple["h"], triple["t"]))
    for name in config.relation_text:
        for row in read_jsonl(data / name):
            relation_counts.update(triple[1] for triple in row["triples"])
    records = []
    for row in map(_unescaped, read_jsonl(data / config.entities)):
        ranked = _rank(row, used[row["id"]], degree[row["id"]])
        if ranked is not None:
            records.append((ranked, row))
    records.sort(key=lambda item: (item[0], item[1]["id"]))
    kept = [row for _, row in records[: config.max_entities]]
    n_entities = write_jsonl(
        out / "entities.jsonl",
        (_entity(row, properties[row["id"]], surfaces.get(row["id"]), config) for row in kept),
    )
    n_relations = write_jsonl(
        out / "relations.jsonl", _relations(data / config.relations, relation_counts, config)
    )
    return {"entities": n_entities, "relations": n_relations}


def ensure_knowledge(config: KnowledgeConfig, data: Path) -> Path:
    """Write the entities and relations of a bundle unless they exist, and return their folder.

    Args:
        data: Folder of the files in `config`.

    Raises:
        ConfigError: They do not exist, and the recipe does not name their sources.
    """
    out = Path(config.out)
    # relations.jsonl is written last: if it exists, entities.jsonl is complete.
    if not all((out / name).is_file() for name in ("entities.jsonl", "relations.jsonl")):
        check_knowledge(config, data)
        build_knowledge(config, data)
    return out


def check_knowledge(config: KnowledgeConfig, data: Path) -> None:
    """Check that the sources of entities and relations exist.

    Args:
        data: Folder of the files in `config`.

    Raises:
        ConfigError: A file is missing or not named.
    """
    if not (config.entities and config.relations and config.triples):
        raise ConfigError(
            f"{config.out}: has no entities.jsonl and relations.jsonl, and [knowledge] does not "
            "name entities, relations and triples, expected one of both: add these settings"
        )
    names = (config.entities, config.relations, config.triples)
    for name in (*names, *config.linked_text, *config.relation_text):
        if not (data / name).is_file():
            raise ConfigError(
                f"{data / name}: is missing, expected a file named in [knowledge]: give the "
                "folder of the data sets by --data"
            )


def _read_surfaces(
    config: KnowledgeConfig, data: Path
) -> tuple[dict[str, Counter[str]], Counter[str]]:
    surfaces: defaultdict[str, Counter[str]] = defaultdict(Counter)
    used: Counter[str] = Counter()
    for name in config.linked_text:
        for row in read_jsonl(data / name):
            for start, end, entity_id, *_ in row["spans"]:
                if entity_id:
                    surfaces[entity_id][row["text"][start:end]] += 1
                    used[entity_id] += 1
    return surfaces, used


def _unescaped(row: dict[str, Any]) -> dict[str, Any]:
    """Return a record without the second escaping of its dump."""
    name = unescaped(row["name"])
    aliases = dict.fromkeys(map(unescaped, row["aliases"]))
    aliases.pop(name, None)
    description = unescaped(row["description"] or "")
    return {**row, "name": name, "aliases": list(aliases), "description": description}


def _is_name(name: str) -> bool:
    capital = any(letter.isupper() for letter in name[:3])
    return (capital or (name[:1].isdigit() and not name.islower())) and not is_date(name)


def _rank(row: dict[str, Any], used: int, degree: int) -> tuple[int, int] | None:
    """Return the rank of an entity, lowest best: linked in text, then in statements, then others.

    None for an entity without a description, and for pages of Wikimedia itself.
    """
    named, described = _is_name(row["name"]), bool(row["description"])
    if not described or "Wikimedia" in row["description"]:
        return None
    brand_only = row["source"].endswith("NSI") and not used and degree == 0
    tier = 0 if named and used else 1 if named and degree else 2 if named and not brand_only else 3
    if not named:
        tier = 4
    return tier, -(10 * used + degree)


def _entity(
    row: dict[str, Any],
    properties: set[str],
    surfaces: Counter[str] | None,
    config: KnowledgeConfig,
) -> dict[str, Any]:
    types = coarse_types(properties, row["description"])
    record: dict[str, Any] = {
        "id": row["id"],
        "name": row["name"],
        "aliases": [a for a in row["aliases"] if 1 < len(a) <= 60][: config.max_aliases],
        "description": row["description"],
        "types": list(types),
    }
    kept = trusted(surfaces or {}, (row["name"],))
    if kept:
        record["surfaces"] = kept
    partials = other_forms(
        Entity(
            entity_id=row["id"],
            name=row["name"],
            aliases=tuple(record["aliases"]),
            description=row["description"],
            types=types,
        ),
        open_language(DEFAULT_LANGUAGE),
    )
    if partials:
        record["partials"] = list(partials)
    return record


def _relations(
    path: Path, counts: Counter[str], config: KnowledgeConfig
) -> Iterator[dict[str, Any]]:
    rows = {row["id"]: row for row in read_jsonl(path) if row["name"] and row["name"] != "None"}
    chosen = sorted((key for key in counts if key in rows), key=lambda key: (-counts[key], key))
    for key in chosen[: config.max_relations]:
        row = rows[key]
        yield {
            "id": key,
            "name": row["name"],
            "aliases": row.get("aliases", [])[: config.max_aliases],
            "description": row.get("description") or "",
        }
