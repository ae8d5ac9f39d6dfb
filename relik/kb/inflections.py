"""What an English plural, or an adjective of a place, is formed from."""

_SHORTEST_STEM = 4
_PLURALS = (("s", ""), ("es", ""), ("ies", "y"))
# Afrikaners, Tanzanian, Kuwaiti, Brazilian, Palestinian, Bolivian, Sudanese: of English.
_ENDINGS = (
    *_PLURALS,
    ("n", ""),
    ("i", ""),
    ("ian", ""),
    ("an", ""),
    ("an", "e"),
    ("ian", "e"),
    ("ese", ""),
    ("ese", "a"),
    ("ish", ""),
)


def stems(key: str, *, adjectives: bool = True) -> list[str]:
    """Guess what an English plural, or an adjective of a place, is formed from.

    Args:
        key: A normalised name.
        adjectives: Guess adjectives as well: Tanzanian, Kuwaiti, Sudanese.

    Returns:
        Normalised names that may exist or not, likelier ones first.
    """
    endings = _ENDINGS if adjectives else _PLURALS
    short = len(key.rpartition(" ")[2]) <= _SHORTEST_STEM
    return [] if short else [key.removesuffix(e) + base for e, base in endings if key.endswith(e)]
