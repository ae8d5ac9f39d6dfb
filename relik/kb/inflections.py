"""What an English plural, or an adjective of a place or of a term, is formed from."""

_SHORTEST_STEM = 4
_PLURALS = (("s", ""), ("es", ""), ("ies", "y"))
# Tanzanian, Kuwaiti, Brazilian, Palestinian, Bolivian, Sudanese: of English.
_OF_PLACES = (
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


# What follows no rule: people and adjectives of places and faiths.
_IRREGULAR = dict(
    entry.split(": ")
    for entry in ["afghan: afghanistan", "argentine: argentina", "azeri: azerbaijan", "basque: basque country", "briton: united kingdom", "british: united kingdom", "burmese: myanmar", "catalan: catalonia", "chechen: chechnya", "chinese: china", "congolese: congo", "croat: croatia", "cypriot: cyprus", "czech: czech republic", "dane: denmark", "danish: denmark", "dutch: netherlands", "dutchman: netherlands", "english: england", "englishman: england", "filipino: philippines", "finn: finland", "finnish: finland", "flemish: flanders", "french: france", "frenchman: france", "german: germany", "greek: greece", "guyanese: guyana", "hungarian: hungary", "icelander: iceland", "icelandic: iceland", "irish: ireland", "irishman: ireland", "kazakh: kazakhstan", "kyrgyz: kyrgyzstan", "lebanese: lebanon", "macedonian: north macedonia", "moslem: islam", "muslim: islam", "norwegian: norway", "peruvian: peru", "pole: poland", "polish: poland", "portuguese: portugal", "scot: scotland", "scottish: scotland", "scotsman: scotland", "serb: serbia", "sikh: sikhism", "slovak: slovakia", "slovene: slovenia", "spaniard: spain", "spanish: spain", "swede: sweden", "swedish: sweden", "swiss: switzerland", "tajik: tajikistan", "thai: thailand", "turk: turkey", "turkish: turkey", "turkmen: turkmenistan", "ukrainian: ukraine", "uzbek: uzbekistan", "welsh: wales", "welshman: wales"]
)


def place_stems(key: str) -> list[str]:
    """Guess what place or faith an English adjective, or a word for its people, is formed from.

    Args:
        key: A normalised name.

    Returns:
        Normalised names that may exist or not, likelier ones first.
    """
    told = [_IRREGULAR[word] for word in (key, key.removesuffix("s")) if word in _IRREGULAR]
    if len(key.rpartition(" ")[2]) <= _SHORTEST_STEM:
        return told
    one = key.removesuffix("s")
    return [*told, *(one.removesuffix(e) + base for e, base in _OF_PLACES if one.endswith(e))]


def stems(key: str, *, adjectives: bool = True, terms: bool = False) -> list[str]:
    """Guess what an English plural, or an adjective of a place or of a term, is formed from.

    Args:
        key: A normalised name.
        adjectives: Guess adjectives of places as well: Tanzanian, Kuwaiti, Sudanese.
        terms: Guess adjectives of terms as well: diabetic, necrotic, hypotensive.

    Returns:
        Normalised names that may exist or not, likelier ones first.
    """
    endings = (*_PLURALS, *(_OF_TERMS if terms else ()))
    short = len(key.rpartition(" ")[2]) <= _SHORTEST_STEM
    formed = [] if short else [key.removesuffix(e) + b for e, b in endings if key.endswith(e)]
    return [*formed, *(place_stems(key) if adjectives else ())]
