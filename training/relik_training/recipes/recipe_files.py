"""Recipes as files: read as a table, and refused where a setting is missing."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, cast

from relik.config import from_mapping
from relik.errors import ConfigError

T = TypeVar("T")


def read_table(path: Path, settings: Sequence[str] = ()) -> dict[str, object]:
    """Read a recipe as a table.

    Args:
        path: TOML file.
        settings: Values in place of the recipe's, as "name=value" or "table.name=value" with a
            value of TOML; what is no such value is taken for a string.

    Returns:
        The table.

    Raises:
        ConfigError: The file is missing or is not TOML, or a value cannot be set.
    """
    try:
        table = cast(dict[str, object], tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}): give a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML ({error}): correct it") from error
    for setting in settings:
        _set(table, setting)
    return table


def read_recipe(
    kind: type[T], path: Path, *, needs: tuple[str, ...], settings: Sequence[str] = ()
) -> T:
    """Read a recipe.

    Args:
        kind: The dataclass of its settings.
        path: TOML file.
        needs: Settings without a default.
        settings: Values in place of the recipe's, as of `read_table`.

    Returns:
        Settings, defaults filled in.

    Raises:
        ConfigError: The file is missing, is not TOML, lacks a setting or has a wrong one.
    """
    table = read_table(path, settings)
    missing = next((name for name in needs if name not in table), None)
    if missing is not None:
        raise ConfigError(f"{path}: got no {missing!r}, which this recipe needs: add it")
    return from_mapping(kind, table, where=str(path))


def _set(table: dict[str, object], setting: str) -> None:
    name, equals, text = setting.partition("=")
    *tables, last = name.strip().split(".")
    if not equals or not last:
        raise ConfigError(f"got --set {setting!r}, expected name=value or table.name=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    for key in tables:
        held = table.setdefault(key, {})
        if not isinstance(held, dict):
            raise ConfigError(
                f"got --set {setting!r}, but {key!r} is no table: change it in the recipe"
            )
        table = held
    table[last] = value
