"""The error for a library that released pipelines need and a plain install lacks."""

from collections.abc import Iterator
from contextlib import contextmanager

from relik.errors import ConfigError

INSTALL = "pip install 'relik-server[upstream]'"


def missing_library(library: str) -> ConfigError:
    """Return the error for a library that is not installed."""
    return ConfigError(f"got no {library}, expected it for released pipelines: run `{INSTALL}`")


@contextmanager
def libraries_needed() -> Iterator[None]:
    """Convert the error of an import that fails.

    Raises:
        ConfigError: A library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_library(str(error.name)) from error
