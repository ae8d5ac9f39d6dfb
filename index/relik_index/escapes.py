"""Characters of names and descriptions that a dump escaped twice."""

import re

# A pair of surrogates, or what is none; a half alone is no character.
_ESCAPES = re.compile(
    r"\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}|\\u(?![Dd][89A-Fa-f])[0-9A-Fa-f]{4}"
)


def unescaped(text: str) -> str:
    r"""Put characters in the place of what is left of their escapes.

    Args:
        text: A name or a description, such as `Pok\u00E9mon` in twelve characters.

    Returns:
        The same with the characters that are meant; halves of surrogate pairs stay as they are.
    """
    return _ESCAPES.sub(_meant, text) if "\\u" in text else text


def _meant(escape: re.Match[str]) -> str:
    return bytes.fromhex(escape.group().replace("\\u", "")).decode("utf-16-be")
