"""Import of optional packages that a single format needs."""

from importlib import import_module
from typing import Any

from relik.errors import ConfigError


def import_optional(package: str, format_name: str) -> Any:
    """Import an optional package.

    Raises:
        ConfigError: It is not installed; the message has the command that installs it.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the format {format_name} needs the package {package}, which is not installed: "
            f"run pip install {package}"
        ) from error
