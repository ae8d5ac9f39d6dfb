"""The error for a library that released pipelines need and a plain install lacks."""

from relik.errors import ConfigError

INSTALL = "pip install 'relik-server[upstream]'"


def missing_library(library: str) -> ConfigError:
    """Return the error for a library that is not installed."""
    return ConfigError(f"got no {library}, expected it for released pipelines: run `{INSTALL}`")
