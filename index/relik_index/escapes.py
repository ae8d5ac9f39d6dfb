"""Characters of names and descriptions that a dump escaped twice."""

import re

_ESCAPES = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+")


def unescaped(text: str) -> str:
    r"""Put characters in the place of what is left of their escapes.

    Args:
        text: A name or a description, such as `Pok\u00E9mon` in twelve characters.

    Returns:
        The same with the characters that are meant; halves of surrogate pairs stay as they are.
    """
    return _ESCAPES.sub(_meant, text) if "\\u" in text else text


def _meant(escapes: re.Match[str]) -> str:
    units = bytes.fromhex(escapes.group().replace("\\u", ""))
    try:
        return units.decode("utf-16-be")
    except UnicodeDecodeError:
        return escapes.group()
