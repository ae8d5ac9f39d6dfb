"""Entity ids in other data sets: Wikipedia titles, DBpedia and Wikidata addresses, YAGO names."""

import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import quote, unquote

from relik_training.formats.annotated import Mention

_PAGE = re.compile(r"https?://[^/]+/(?:wiki|resource|page)/([^#?]+)")
_ITEM = re.compile(r"https?://www\.wikidata\.org/(?:entity|wiki)/([QPL][0-9]+)")
_ADDRESS = re.compile(r'https?://[^\x00-\x20<>"{}|\\^`]+')
_DBPEDIA, _WIKIDATA = "http://dbpedia.org/resource/", "http://www.wikidata.org/entity/"
_UNKNOWN = "http://aksw.org/notInWiki/"
_OWN = "urn:relik:id:"
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_PLAIN = re.compile(r"[^!-~]|\\")


def is_page(name: str) -> bool:
    """Tell whether a name is the address of a page of Wikipedia or DBpedia."""
    return _PAGE.match(name) is not None


def id_and_title(address: str) -> tuple[str, dict[str, object]]:
    """Convert an address to an id.

    Args:
        address: Address of a Wikidata entity or of a page of Wikipedia or DBpedia; or any id.

    Returns:
        The QID, the title, or the argument itself; and `{"title": ...}` for a title.
    """
    item = _ITEM.fullmatch(address)
    if item:
        return item.group(1), {}
    if _PAGE.match(address):
        title = plain_title(address)
        return title, {"title": title}
    return address, {}


def plain_title(name: str) -> str:
    """Return the title of a page as Wikipedia displays it.

    Args:
        name: A title, with underscores or spaces, or the address of a page.
    """
    page = _PAGE.match(name)
    decoded = unquote(page.group(1)) if page else name
    return " ".join(unicodedata.normalize("NFC", decoded).replace("_", " ").split())


def named(addresses: Sequence[str]) -> tuple[str | None, dict[str, object]]:
    """Choose one of several addresses of an entity.

    Args:
        addresses: Addresses; those in the namespace of GERBIL for unknown entities are ignored.

    Returns:
        As `id_and_title`, of the Wikidata address if there is one, else of the first; None and an
        empty object for NIL.
    """
    known = [each for each in addresses if not each.startswith(_UNKNOWN)]
    if not known:
        return None, {}
    chosen = next((each for each in known if each.startswith(_WIKIDATA)), known[0])
    if chosen.startswith(_OWN):
        return unquote(chosen.removeprefix(_OWN)), {}
    return id_and_title(chosen)


def address_of(mention: Mention) -> str:
    """Return an address for the id of a mention, of which `named` returns the id again.

    Returns:
        An address at Wikidata or DBpedia, the id itself if it is an address, or a URN.
    """
    entity_id = mention.entity_id or ""
    if _ITEM.fullmatch(entity_id):
        return _WIKIDATA + entity_id
    if entity_id == mention.text("title") == plain_title(entity_id):
        return _DBPEDIA + quote(entity_id.replace(" ", "_"), safe="")
    if _ADDRESS.fullmatch(entity_id) and id_and_title(entity_id) == (entity_id, {}):
        return entity_id
    return _OWN + quote(entity_id, safe="")


def to_yago(name: str) -> str:
    r"""Escape a name as YAGO does: UTF-16 units as `\uXXXX` for other than printable ASCII.

    Args:
        name: A name with underscores for spaces.
    """
    return _PLAIN.sub(
        lambda found: "".join(
            f"\\u{high:02x}{low:02x}"
            for high, low in zip(*[iter(found.group().encode("utf-16-be"))] * 2, strict=True)
        ),
        name,
    )


def from_yago(name: str) -> str:
    """Undo the escapes of a YAGO name."""
    units = _ESCAPED.sub(lambda found: chr(int(found.group(1), 16)), name)
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
