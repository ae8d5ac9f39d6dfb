"""Write settings as TOML that reads back as what was written."""

import json
import re
from collections.abc import Iterator, Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(values: Mapping[str, object]) -> str:
    """Write a table as TOML.

    Args:
        values: Strings, numbers, truth values, lists of these, tables, and lists of tables. What
            is None is left out: TOML has no word for it.

    Returns:
        The text.

    Raises:
        TypeError: There is something else.
    """
    return "\n".join(_table(values, ())).lstrip("\n") + "\n"


def _table(values: Mapping[str, object], path: tuple[str, ...]) -> Iterator[str]:
    """Write the plain values first: what follows a heading belongs to it."""
    later: list[tuple[str, object]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) or _has_tables(value):
            later.append((name, value))
        elif value is not None:
            yield f"{_key(name)} = {_value(value)}"
    for name, value in later:
        inner = (*path, name)
        heading = ".".join(_key(part) for part in inner)
        tables = [value] if isinstance(value, Mapping) else value
        marks = "[{}]" if isinstance(value, Mapping) else "[[{}]]"
        for table in tables:  # type: ignore[attr-defined]  # told from other values above
            yield ""
            yield marks.format(heading)
            yield from _table(table, inner)


def _has_tables(value: object) -> bool:
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(isinstance(each, Mapping) for each in value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    raise TypeError(f"got {type(value).__name__}, expected what TOML can hold")


def _string(text: str) -> str:
    # JSON escapes as TOML does, except for one control character that it lets stand.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
