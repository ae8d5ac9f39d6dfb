"""Documents that nobody annotated: descriptions of a knowledge base, labelled by its statements.

Distant supervision (Mintz et al., ACL 2009) where it errs least: the description of a thing is
about that thing, so that a name in it is searched among the few things that a statement ties to it
(T-REx, Elsahar et al., LREC 2018, does so for abstracts).
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

_SHORTEST_NAME = 3
# "Sharon Rachel Osbourne" for Sharon Osbourne: so many words may stand between first and last.
_MORE_NAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DistantConfig:
    """What to make documents of.

    Args:
        kb: JSON Lines of entities; those with `long_description` become documents.
        statements: JSON Lines of `h, r, t`: two ids and a relation id, or a list of them.
        relations: JSON Lines of relations (`id`); empty: all that the statements have.
        without: Annotated documents; what they tell of or say themselves is left out.
        skip: Relation ids that no text states, such as "different from".
    """

    kb: Path
    statements: Path
    relations: Path | None = None
    without: tuple[Path, ...] = ()
    skip: tuple[str, ...] = ()


def distant_documents(config: DistantConfig, target: Path, report: Report) -> Report:
    """Write descriptions with what their statements say of them.

    Args:
        config: Knowledge base and statements.
        target: JSON Lines in our shape, .gz or plain; there when it is whole.
        report: Told how far the reading is, and what is left out.

    Returns:
        The report.

    Raises:
        InputError: A file cannot be read or written, or no description has a statement.
    """
    entities = _entities(config.kb, report)
    described = {key for key, row in entities.items() if row["text"]}
    if not described:
        raise InputError(
            f"{config.kb}: got {len(entities)} entities and no long_description, expected some: "
            "documents are made of them"
        )
    ties = _ties(config, entities, report)
    held_out = _HeldOut(config.without, report)
    with written_aside(target) as draft:
        write_objects(_documents(entities, ties, held_out, report), draft)
        if not report.documents:
            raise InputError(
                f"{config.statements}: got no statement of the {len(described)} described entities "
                "whose other side their description names, expected some: both files need the "
                "same ids"
            )
    return report


def read_statements(path: Path, report: Report) -> Iterator[tuple[str, list[str], str]]:
    """Read statements of a knowledge base.

    Args:
        path: JSON Lines of `h, r, t`: two ids and a relation id, or a list of them.
        report: Told how far the reading is.

    Returns:
        Subject, relations and object of each line.

    Raises:
        InputError: The file cannot be read, or a line is no statement.
    """
    for where, row in read_objects(path, report):
        subject, told, value = row.get("h"), row.get("r"), row.get("t")
        relations = [told] if isinstance(told, str) else told
        if not (
            isinstance(subject, str)
            and isinstance(value, str)
            and isinstance(relations, list)
            and relations
            and all(isinstance(each, str) for each in relations)
        ):
            raise InputError(f'{where}: got no statement, expected {{"h", "r", "t"}}')
        yield subject, relations, value


def _entities(path: Path, report: Report) -> dict[str, dict[str, Any]]:
    """Read id, names and description of each entity."""
    found = {}
    for where, row in read_objects(path, report):
        if not (isinstance(row.get("id"), str) and isinstance(row.get("name"), str)):
            raise InputError(f"{where}: got no id or no name, expected an entity with both")
        # Some dumps write line ends as a backslash and an n.
        text = str(row.get("long_description") or "").replace("\\n", "\n").replace('\\"', '"')
        names = dict.fromkeys(map(unescaped, [row["name"], *(row.get("aliases") or ())]))
        found[row["id"]] = {
            "name": unescaped(row["name"]),
            "names": [name for name in names if len(name) >= _SHORTEST_NAME],
            "text": unicodedata.normalize("NFC", unescaped(text)).strip(),
        }
    return found


def _ties(
    config: DistantConfig, entities: Container[str], report: Report
) -> dict[str, dict[str, list[str]]]:
    """Give relations by subject and object, between entities that are known."""
    wanted = None
    if config.relations is not None:
        wanted = {row.get("id") for _, row in read_objects(config.relations, report)}
    ties: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for subject, relations, value in read_statements(config.statements, report):
        if subject == value or subject not in entities or value not in entities:
            continue
        held = [
            each
            for each in relations
            if each not in config.skip and (wanted is None or each in wanted)
        ]
        if held:
            ties[subject].setdefault(value, []).extend(held)
    return ties


class _HeldOut:
    """Tells what other documents tell of, or say."""

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
    """Give what can be told again where a text was cut or set otherwise."""
    for each in re.split(r"(?<=[.!?])\s+|\n+", text):
        words = re.findall(r"\w+", each.casefold())
        if len(words) > _MORE_NAMES:
            yield " ".join(words)


def _documents(
    entities: Mapping[str, Mapping[str, Any]],
    ties: Mapping[str, Mapping[str, list[str]]],
    held_out: _HeldOut,
    report: Report,
) -> Iterator[dict[str, Any]]:
    around = _neighbours(ties)
    for number, (key, row) in enumerate(entities.items(), start=1):
        report.progress(number, len(entities))
        if not row["text"] or key not in around:
            continue
        if held_out.has(key, row["text"]):
            report.drop("text or subject of a document given by --without", doc_id=key)
            continue
        document = _document(key, row, entities, ties, around[key])
        if document is None:
            report.drop("description names neither side of a statement", doc_id=key)
            continue
        spans, triples = document["spans"], document["triples"]
        report.count(spans=len(spans), linked=len(spans), triples=len(triples))
        yield document


def _neighbours(ties: Mapping[str, Mapping[str, list[str]]]) -> dict[str, dict[str, None]]:
    around: dict[str, dict[str, None]] = defaultdict(dict)
    for subject, values in ties.items():
        for value in values:
            around[subject][value] = None
            around[value][subject] = None
    return around


def _document(
    key: str,
    row: Mapping[str, Any],
    entities: Mapping[str, Mapping[str, Any]],
    ties: Mapping[str, Mapping[str, list[str]]],
    around: Iterable[str],
) -> dict[str, Any] | None:
    """Label one description; None where it names no two things that a statement ties."""
    text = row["text"]
    named = [(key, name) for name in [*row["names"], *_full_name(text, row["names"])]]
    named += [(other, name) for other in around for name in entities[other]["names"]]
    places = _places(text, named)
    first: dict[str, tuple[int, int]] = {}
    for start, end, who in places:
        first.setdefault(who, (start, end))
    pairs = [pair for pair in permutations(first, 2) if pair[1] in ties.get(pair[0], {})]
    kept = {who for pair in pairs for who in pair}
    if key not in kept:
        return None
    spans = [[start, end, who, text[start:end]] for start, end, who in places if who in kept]
    index = {who: spans.index([*first[who], who, text[slice(*first[who])]]) for who in kept}
    triples = [
        [index[subject], relation, index[value]]
        for subject, value in pairs
        for relation in dict.fromkeys(ties[subject][value])
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
    """Give the longer form of a name that a description often begins with."""
    for name in names:
        words = name.split()
        if len(words) > 1:
            first, last = re.escape(words[0]), re.escape(words[-1])
            between = rf"(?:[^\W\d_a-z][\w.'-]* ){{1,{_MORE_NAMES}}}"
            if match := re.match(rf"{first} {between}{last}(?!\w)", text):
                yield match.group()


def _places(text: str, named: Iterable[tuple[str, str]]) -> list[tuple[int, int, str]]:
    """Find names in a text, as whole words; of those that overlap the longer one.

    A name that two things share says neither.
    """
    owners: dict[str, set[str]] = defaultdict(set)
    for who, name in named:
        owners[name].add(who)
    taken: list[tuple[int, int, str]] = []
    for name in sorted(owners, key=lambda each: (-len(each), each)):
        # The first word of a text has a capital whatever it is.
        pattern = rf"(?<!\w){re.escape(name)}(?!\w)"
        for match in re.finditer(pattern, _lowered(text, name)):
            start, end = match.span()
            if all(end <= one or start >= other for one, other, _ in taken):
                taken.append((start, end, "" if len(owners[name]) > 1 else min(owners[name])))
    return sorted(each for each in taken if each[2])


def _lowered(text: str, name: str) -> str:
    """Give a text with its first letter as the name would have it."""
    if name[0].islower() and text[0].lower() == name[0]:
        return name[0] + text[1:]
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Functionality:
    """What the statements of one relation are like.

    Args:
        relation_id: Its id.
        statements: Different ones.
        functionality: Share of the subjects that have one object, 0..1.
        inverse_functionality: Share of the objects that have one subject, 0..1.
    """

    relation_id: str
    statements: int
    functionality: float
    inverse_functionality: float


def functionalities(statements: Path, report: Report) -> list[Functionality]:
    """Measure the relations of a file.

    Args:
        statements: JSON Lines of `h, r, t`: two ids and a relation id, or a list of them.
        report: Told how far the reading is.

    Returns:
        One for each relation, those with most statements first.

    Raises:
        InputError: The file cannot be read, or a line is no statement.
    """
    pairs: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for subject, relations, value in read_statements(statements, report):
        for relation in relations:
            pairs[relation].add((subject, value))
    return sorted(
        (
            Functionality(
                relation_id=relation,
                statements=len(held),
                functionality=_single(subject for subject, _ in held),
                inverse_functionality=_single(value for _, value in held),
            )
            for relation, held in pairs.items()
        ),
        key=lambda one: (-one.statements, one.relation_id),
    )


def _single(keys: Iterable[str]) -> float:
    """Return the share of keys that come once."""
    counts = Counter(keys)
    return sum(count == 1 for count in counts.values()) / len(counts)
