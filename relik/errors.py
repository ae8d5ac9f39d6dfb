"""Exceptions of the library.

    RelikError
    ├── ConfigError              a setting is wrong                      CLI exit 2
    ├── InputError               the caller's text or options are wrong  CLI exit 2, HTTP 422
    │   └── TextTooLongError     more text than the limit                HTTP 413
    ├── BundleError              an index or a model cannot be used      CLI exit 3
    │   ├── BundleNotFoundError
    │   ├── BundleVersionError
    │   ├── BundleCorruptError
    │   └── DimensionMismatchError
    └── InferenceError           we failed                               CLI exit 1, HTTP 500

A message says what was got, what was expected, and what to do.
"""

__all__ = [
    "BundleCorruptError",
    "BundleError",
    "BundleNotFoundError",
    "BundleVersionError",
    "ConfigError",
    "DimensionMismatchError",
    "InferenceError",
    "InputError",
    "RelikError",
    "TextTooLongError",
]


class RelikError(Exception):
    """Base class of the library's errors."""


class ConfigError(RelikError):
    """A setting has an unknown name, a wrong type or a value out of range."""


class InputError(RelikError):
    """The caller's text or options are wrong."""


class TextTooLongError(InputError):
    """A document has more text than its limit."""


class BundleError(RelikError):
    """An index or a model on disk cannot be used."""


class BundleNotFoundError(BundleError):
    """There is no bundle at the path or name."""


class BundleVersionError(BundleError):
    """The bundle was written in a format that this version cannot read."""


class BundleCorruptError(BundleError):
    """A file of the bundle is missing, truncated or altered."""


class DimensionMismatchError(BundleError):
    """Vectors have another width than the index or model."""


class InferenceError(RelikError):
    """The model failed on input that was valid."""
