"""What an English plural, or an adjective of a place or of a term, is formed from."""

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
# Necrotic, epileptic, paralytic, autistic, schizophrenic, diabetic, hemorrhagic, hypotensive.
_OF_TERMS = (
    ("otic", "osis"),
    ("istic", "ism"),
    ("tic", "sis"),
    ("tic", "sy"),
    ("tic", ""),
    ("ic", "ia"),
    ("ic", "es"),
    ("ic", "e"),
    ("ic", ""),
    ("ive", "ion"),
    ("ous", ""),
)


def stems(key: str, *, adjectives: bool = True, terms: bool = False) -> list[str]:
    """Guess what an English plural, or an adjective of a place or of a term, is formed from.

    Args:
        key: A normalised name.
        adjectives: Guess adjectives of places as well: Tanzanian, Kuwaiti, Sudanese.
        terms: Guess adjectives of terms as well: diabetic, necrotic, hypotensive.

    Returns:
        Normalised names that may exist or not, likelier ones first.
    """
    endings = (*(_ENDINGS if adjectives else _PLURALS), *(_OF_TERMS if terms else ()))
    short = len(key.rpartition(" ")[2]) <= _SHORTEST_STEM
    return [] if short else [key.removesuffix(e) + base for e, base in endings if key.endswith(e)]
