"""Conversion of offsets in UTF-16 units or UTF-8 bytes to code points.

JavaScript and Java count UTF-16 units, Go and Rust UTF-8 bytes. If a file repeats the text of each
span, the unit is the one whose offsets match those texts.
"""

from collections.abc import Sequence

CODE_POINTS = "code points"
UTF_16 = "UTF-16 units"
UTF_8 = "UTF-8 bytes"
_UNITS = (CODE_POINTS, UTF_16, UTF_8)


def in_code_points(
    text: str, claims: Sequence[tuple[int, int, str | None]]
) -> tuple[str, list[tuple[int, int]]]:
    """Detect the unit of the offsets of a document, and convert them to code points.

    Args:
        claims: Start, end and surface form of each span by the file; None for no surface form.

    Returns:
        The unit, and start and end of each span in code points, in order. Offsets inside a
        character, or after the text, are -1.
    """
    as_given = [(start, end) for start, end, _ in claims]
    if text.isascii():
        return CODE_POINTS, as_given
    best, found, most = CODE_POINTS, as_given, -1
    for unit in _UNITS:
        spans = as_given if unit == CODE_POINTS else _converted(text, as_given, unit)
        matches = sum(
            start >= 0 and text[start:end] == surface
            for (start, end), (_, _, surface) in zip(spans, claims, strict=True)
        )
        if matches > most:
            best, found, most = unit, spans, matches
    return best, found


def _converted(text: str, spans: Sequence[tuple[int, int]], unit: str) -> list[tuple[int, int]]:
    code_points = {}
    offset = 0
    for index, character in enumerate(text):
        code_points[offset] = index
        offset += _width(character, unit)
    code_points[offset] = len(text)
    return [(code_points.get(start, -1), code_points.get(end, -1)) for start, end in spans]


def _width(character: str, unit: str) -> int:
    if unit == UTF_16:
        return 2 if ord(character) > 0xFFFF else 1
    return len(character.encode("utf-8", "surrogatepass"))
