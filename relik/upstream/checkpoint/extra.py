"""What a plain install lacks for released pipelines, said in one place."""

from relik.errors import ConfigError

INSTALL = "pip install 'relik-server[upstream]'"


def lacking(library: str) -> ConfigError:
    """Say that a library is not installed."""
    return ConfigError(f"got no {library}, expected it for released pipelines: run `{INSTALL}`")
