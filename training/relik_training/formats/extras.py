"""Packages that only one format needs."""

from importlib import import_module
from typing import Any

from relik.errors import ConfigError


def needed(package: str, format_name: str) -> Any:
    """Import a package that a plain install lacks.

    Args:
        package: Its name.
        format_name: The format that needs it.

    Returns:
        The module.

    Raises:
        ConfigError: It is not installed; the message says how to install it.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the format {format_name} needs the package {package}, which is not installed: "
            f"run pip install {package}"
        ) from error
