"""What a plural, or an adjective of a place or of a term, is formed from.

A stem is a normalised name that may exist or not; likelier ones come first.
"""

from relik.names.language import Language


def plural_stems(key: str, language: Language) -> list[str]:
    """Guess what a normalised plural is formed from: television networks."""
    stems = language.plurals.stems(key)
    return stems if stems and _is_long(key, language) else []


def term_stems(key: str, language: Language) -> list[str]:
    """Guess what the adjective of a term is formed from: diabetic, necrotic, hypotensive."""
    stems = language.of_terms.stems(key)
    return stems if stems and _is_long(key, language) else []


def place_stems(key: str, language: Language, *, irregular: bool = True) -> list[str]:
    """Guess what place or faith an adjective, or a word for its people, is formed from.

    Args:
        key: The normalised form.
        language: Its language.
        irregular: Also where it follows no rule.
    """
    origins, one = language.origin_of, key
    for plural in language.plurals.of_forms[:1]:  # Palestinians
        one = key.removesuffix(plural)
    words = dict.fromkeys((key, one)) if irregular else ()
    known = [origins[word] for word in words if word in origins]
    stems = language.of_places.stems(one)
    return [*known, *stems] if stems and _is_long(key, language) else known


def _is_long(key: str, language: Language) -> bool:
    return len(key) - key.rfind(" ") - 1 > language.shortest_stem
