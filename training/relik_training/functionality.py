"""How nearly each relation of a knowledge base is a function, and its inverse one.

PARIS (Suchanek et al., PVLDB 2011) and AMIE (Galarraga et al., WWW 2013) divide subjects by
statements; a few subjects with very many objects, as countries that others followed, then hide that
nearly all have one. Here it is the share of the subjects that have one object.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from relik_training.distant import read_statements
from relik_training.formats.report import Report


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
