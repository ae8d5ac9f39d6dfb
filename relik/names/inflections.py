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
_FORMS = {
    "afghanistan": "afghan",
    "argentina": "argentine",
    "azerbaijan": "azeri",
    "bosnia and herzegovina": "bosniak bosnian",
    "basque country": "basque",
    "catalonia": "catalan",
    "chechnya": "chechen",
    "china": "chinese",
    "congo": "congolese",
    "croatia": "croat",
    "cyprus": "cypriot",
    "czechoslovakia": "czechoslovak",
    "czech republic": "czech",
    "denmark": "dane danish",
    "el salvador": "salvadoran",
    "england": "english englishman",
    "finland": "finn finnish",
    "flanders": "flemish",
    "france": "french frenchman",
    "germany": "german",
    "greece": "greek",
    "guyana": "guyanese",
    "hungary": "hungarian",
    "iceland": "icelander icelandic",
    "ireland": "irish irishman",
    "islam": "moslem muslim",
    "ivory coast": "ivorian",
    "kazakhstan": "kazakh",
    "kurdistan": "kurd kurdish",
    "kyrgyzstan": "kyrgyz",
    "lebanon": "lebanese",
    "montenegro": "montenegrin",
    "myanmar": "burmese",
    "netherlands": "dutch dutchman",
    "north macedonia": "macedonian",
    "norway": "norwegian",
    "peru": "peruvian",
    "philippines": "filipino",
    "poland": "pole polish",
    "portugal": "portuguese",
    "saudi arabia": "saudi",
    "scotland": "scot scottish scotsman",
    "serbia": "serb",
    "sikhism": "sikh",
    "slovakia": "slovak",
    "slovenia": "slovene",
    "soviet union": "soviet",
    "spain": "spaniard spanish",
    "sweden": "swede swedish",
    "switzerland": "swiss",
    "tajikistan": "tajik",
    "thailand": "thai",
    "turkey": "turk turkish",
    "turkmenistan": "turkmen",
    "ukraine": "ukrainian",
    "united arab emirates": "emirati",
    "united kingdom": "briton british",
    "uzbekistan": "uzbek",
    "wales": "welsh welshman",
    "yugoslavia": "yugoslav",
}
_IRREGULAR = {form: place for place, forms in _FORMS.items() for form in forms.split()}


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
