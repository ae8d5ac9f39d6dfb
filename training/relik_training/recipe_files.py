"""Recipes as files: read as a table, and refused where a setting is missing."""

import tomllib
from pathlib import Path
from typing import cast

from relik.errors import ConfigError


def read_table(path: Path) -> dict[str, object]:
    """Read a recipe as a table.

    Args:
        path: TOML file.

    Returns:
        The table.

    Raises:
        ConfigError: The file is missing or is not TOML.
    """
    try:
        return cast(dict[str, object], tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}): give a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML ({error}): correct it") from error


def require(path: Path, names: tuple[str, ...]) -> None:
    """Refuse a recipe that lacks a setting without a default.

    Args:
        path: TOML file.
        names: Settings that it needs.

    Raises:
        ConfigError: The file is missing, is not TOML, or lacks one of them.
    """
    table = read_table(path)
    missing = next((name for name in names if name not in table), None)
    if missing is not None:
        raise ConfigError(f"{path}: got no {missing!r}, which this recipe needs: add it")
