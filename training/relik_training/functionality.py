"""How nearly each relation of a knowledge base is a function, and its inverse one.

PARIS (Suchanek et al., PVLDB 2011) and AMIE (Galarraga et al., WWW 2013) divide subjects by
statements; a few subjects with very many objects, as countries that others followed, then hide that
nearly all have one. Here it is the share of the subjects that have one object.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from relik.errors import InputError
from relik_training.formats.report import Report
from relik_training.formats.streams import read_objects


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
    for where, row in read_objects(statements, report):
        subject, relations, value = row.get("h"), row.get("r"), row.get("t")
        held = [relations] if isinstance(relations, str) else relations
        if not (
            isinstance(subject, str)
            and isinstance(value, str)
            and isinstance(held, list)
            and all(isinstance(each, str) for each in held)
        ):
            raise InputError(f'{where}: got no statement, expected {{"h", "r", "t"}}')
        for relation in held:
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
