"""Distant supervision: descriptions of a knowledge base, labelled by its statements.

Source: Mintz et al., ACL 2009. The description of an entity is about that entity, so that only the
few entities that a statement relates to it are searched in the text, as T-REx does for abstracts
(Elsahar et al., LREC 2018). It also measures the functionality of relations.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

from relik.errors import InputError
from relik_index.sources.json_lines import unescaped
from relik_training.formats.conversion_report import Report
from relik_training.formats.streams import read_objects, write_objects, written_aside

_MIN_NAME_LENGTH = 3
# Middle names at most: "Sharon Rachel Osbourne" for Sharon Osbourne has one.
_MORE_NAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DistantConfig:
    """Sources of the documents.

    Args:
        kb: JSON Lines of entities; those with `long_description` become documents.
        statements: JSON Lines of `h, r, t`: subject, relation or list of relations, object.
        relations: JSON Lines with the `id` of the relations to keep; None for all.
        without: Held-out documents; their subjects and sentences are left out.
        skip: Ids of relations that texts do not state, such as "different from".
    """

    kb: Path
    statements: Path
    relations: Path | None = None
    without: tuple[Path, ...] = ()
    skip: tuple[str, ...] = ()


def distant_documents(config: DistantConfig, target: Path, report: Report) -> Report:
    """Write descriptions with the mentions and triples of their statements.

    Args:
        target: ReLiK JSON Lines, .gz or plain; it appears when it is complete.
        report: Gets progress and counts, and is returned.

    Raises:
        InputError: A file cannot be read or written, or no description has a statement.
    """
    entities = _entities(config.kb, report)
    described = {key for key, row in entities.items() if row["text"]}
    if not described:
        raise InputError(
            f"{config.kb}: got {len(entities)} entities and no long_description, expected some: "
            "add long descriptions, which become the documents"
        )
    statements_by_subject = _statements_by_subject(config, entities, report)
    held_out = _HeldOut(config.without, report)
    with written_aside(target) as draft:
        write_objects(_documents(entities, statements_by_subject, held_out, report), draft)
        if not report.documents:
            raise InputError(
                f"{config.statements}: got no statement whose subject and object are both named in "
                f"one of {len(described)} descriptions, expected some: use the same ids in both "
                "files"
            )
    return report


def read_statements(path: Path, report: Report) -> Iterator[tuple[str, list[str], str]]:
    """Read the statements of a knowledge base: subject, relations and object of each line.

    Args:
        path: JSON Lines of `h, r, t`: subject, relation or list of relations, object.

    Raises:
        InputError: The file cannot be read, or a line is not a statement.
    """
    for where, row in read_objects(path, report):
        subject, relation_field, value = row.get("h"), row.get("r"), row.get("t")
        relations = [relation_field] if isinstance(relation_field, str) else relation_field
        if not (
            isinstance(subject, str)
            and isinstance(value, str)
            and isinstance(relations, list)
            and relations
            and all(isinstance(each, str) for each in relations)
        ):
            raise InputError(
                f'{where}: got no statement, expected {{"h", "r", "t"}} with ids: correct it'
            )
        yield subject, relations, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Functionality:
    """Functionality of a relation, by its statements.

    Args:
        statements: Number of distinct statements.
        functionality: Share of the subjects that have one object, 0..1.
        inverse_functionality: Share of the objects that have one subject, 0..1.
    """

    relation_id: str
    statements: int
    functionality: float
    inverse_functionality: float


def functionalities(statements: Path, report: Report) -> list[Functionality]:
    """Measure the functionality of each relation, those with most statements first.

    Args:
        statements: JSON Lines of `h, r, t`: subject, relation or list of relations, object.

    Raises:
        InputError: The file cannot be read, or a line is not a statement.
    """
    pairs: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for subject, relations, value in read_statements(statements, report):
        for relation in relations:
            pairs[relation].add((subject, value))
    return sorted(
        (
            Functionality(
                relation_id=relation,
                statements=len(kept_relations),
                functionality=_single(subject for subject, _ in kept_relations),
                inverse_functionality=_single(value for _, value in kept_relations),
            )
            for relation, kept_relations in pairs.items()
        ),
        key=lambda one: (-one.statements, one.relation_id),
    )


def _entities(path: Path, report: Report) -> dict[str, dict[str, Any]]:
    """Read id, names and description of each entity."""
    found = {}
    for where, row in read_objects(path, report):
        if not (isinstance(row.get("id"), str) and isinstance(row.get("name"), str)):
            raise InputError(
                f"{where}: got no id or no name, expected an entity with both: add them"
            )
        # Some dumps escape line ends as a backslash and an n.
        text = str(row.get("long_description") or "").replace("\\n", "\n").replace('\\"', '"')
        names = dict.fromkeys(map(unescaped, [row["name"], *(row.get("aliases") or ())]))
        found[row["id"]] = {
            "name": unescaped(row["name"]),
            "names": [name for name in names if len(name) >= _MIN_NAME_LENGTH],
            "text": unicodedata.normalize("NFC", unescaped(text)).strip(),
        }
    return found


def _statements_by_subject(
    config: DistantConfig, entities: Container[str], report: Report
) -> dict[str, dict[str, list[str]]]:
    """Return relations by subject and object, between known entities."""
    wanted = None
    if config.relations is not None:
        wanted = {row.get("id") for _, row in read_objects(config.relations, report)}
    statements_by_subject: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for subject, relations, value in read_statements(config.statements, report):
        if subject == value or subject not in entities or value not in entities:
            continue
        kept_relations = [
            each
            for each in relations
            if each not in config.skip and (wanted is None or each in wanted)
        ]
        if kept_relations:
            statements_by_subject[subject].setdefault(value, []).extend(kept_relations)
    return statements_by_subject


class _HeldOut:
    """Subjects and sentences of held-out documents."""

    def __init__(self, paths: Iterable[Path], report: Report) -> None:
        self._ids: set[str] = set()
        self._texts: set[str] = set()
        for path in paths:
            for _, row in read_objects(path, report):
                self._ids.add(str(row.get("doc_entity")))
                self._texts.update(_sentences(str(row.get("text", ""))))

    def has(self, key: str, text: str) -> bool:
        return key in self._ids or any(each in self._texts for each in _sentences(text))


def _sentences(text: str) -> Iterator[str]:
    """Yield sentences as normalised words, to find them again in another version of a text."""
    for each in re.split(r"(?<=[.!?])\s+|\n+", text):
        words = re.findall(r"\w+", each.casefold())
        if len(words) > _MORE_NAMES:
            yield " ".join(words)


def _documents(
    entities: Mapping[str, Mapping[str, Any]],
    statements_by_subject: Mapping[str, Mapping[str, list[str]]],
    held_out: _HeldOut,
    report: Report,
) -> Iterator[dict[str, Any]]:
    neighbours = _neighbours(statements_by_subject)
    for number, (key, row) in enumerate(entities.items(), start=1):
        report.progress(number, len(entities))
        if not row["text"] or key not in neighbours:
            continue
        if held_out.has(key, row["text"]):
            report.drop("text or subject of a document given by --without", doc_id=key)
            continue
        document = _document(key, row, entities, statements_by_subject, neighbours[key])
        if document is None:
            report.drop("description names neither side of a statement", doc_id=key)
            continue
        spans, triples = document["spans"], document["triples"]
        report.count(spans=len(spans), linked=len(spans), triples=len(triples))
        yield document


def _neighbours(
    statements_by_subject: Mapping[str, Mapping[str, list[str]]],
) -> dict[str, dict[str, None]]:
    neighbours: dict[str, dict[str, None]] = defaultdict(dict)
    for subject, values in statements_by_subject.items():
        for value in values:
            neighbours[subject][value] = None
            neighbours[value][subject] = None
    return neighbours


def _document(
    key: str,
    row: Mapping[str, Any],
    entities: Mapping[str, Mapping[str, Any]],
    statements_by_subject: Mapping[str, Mapping[str, list[str]]],
    neighbours: Iterable[str],
) -> dict[str, Any] | None:
    """Label one description; None if it does not name both sides of a statement."""
    text = row["text"]
    named = [(key, name) for name in [*row["names"], *_full_name(text, row["names"])]]
    named += [(other, name) for other in neighbours for name in entities[other]["names"]]
    names_found = _find_names(text, named)
    first: dict[str, tuple[int, int]] = {}
    for start, end, entity_id in names_found:
        first.setdefault(entity_id, (start, end))
    pairs = [
        pair for pair in permutations(first, 2) if pair[1] in statements_by_subject.get(pair[0], {})
    ]
    kept = {entity_id for pair in pairs for entity_id in pair}
    if key not in kept:
        return None
    spans = [
        [start, end, entity_id, text[start:end]]
        for start, end, entity_id in names_found
        if entity_id in kept
    ]
    index = {
        entity_id: spans.index([*first[entity_id], entity_id, text[slice(*first[entity_id])]])
        for entity_id in kept
    }
    triples = [
        [index[subject], relation, index[value]]
        for subject, value in pairs
        for relation in dict.fromkeys(statements_by_subject[subject][value])
    ]
    return {
        "doc_id": f"description:{key}",
        "title": row["name"],
        "doc_entity": key,
        "text": text,
        "spans": spans,
        "triples": triples,
        "distant": True,
    }


def _full_name(text: str, names: Iterable[str]) -> Iterator[str]:
    """Yield forms of a name with middle names, with which a description often begins."""
    for name in names:
        words = name.split()
        if len(words) > 1:
            first, last = re.escape(words[0]), re.escape(words[-1])
            between = rf"(?:[^\W\d_a-z][\w.'-]* ){{1,{_MORE_NAMES}}}"
            if match := re.match(rf"{first} {between}{last}(?!\w)", text):
                yield match.group()


def _find_names(text: str, named: Iterable[tuple[str, str]]) -> list[tuple[int, int, str]]:
    """Find names as whole words; of overlapping names the longer one.

    A name that two entities share is skipped, because it is ambiguous.
    """
    owners: dict[str, set[str]] = defaultdict(set)
    for entity_id, name in named:
        owners[name].add(entity_id)
    names_found: list[tuple[int, int, str]] = []
    for name in sorted(owners, key=lambda each: (-len(each), each)):
        # The first word of a text is capitalised.
        pattern = rf"(?<!\w){re.escape(name)}(?!\w)"
        for match in re.finditer(pattern, _with_initial_of(text, name)):
            start, end = match.span()
            if all(end <= one or start >= other for one, other, _ in names_found):
                names_found.append((start, end, "" if len(owners[name]) > 1 else min(owners[name])))
    return sorted(each for each in names_found if each[2])


def _with_initial_of(text: str, name: str) -> str:
    """Return the text, with its initial in lower case if the name begins with that letter."""
    if name[0].islower() and text[0].lower() == name[0]:
        return name[0] + text[1:]
    return text


def _single(keys: Iterable[str]) -> float:
    """Return the share of keys that occur once."""
    counts = Counter(keys)
    return sum(count == 1 for count in counts.values()) / len(counts)
