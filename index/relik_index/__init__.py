"""Build, inspect and verify knowledge indexes."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relik_index.builder import BuildOptions, build_index
    from relik_index.verify import verify_index

__all__ = ["BuildOptions", "build_index", "verify_index"]

_LAZY = {
    "BuildOptions": "relik_index.builder",
    "build_index": "relik_index.builder",
    "verify_index": "relik_index.verify",
}


def __getattr__(name: str) -> object:
    # Building imports Arrow and FAISS, which the command line alone must not wait for.
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'relik_index' has no attribute {name!r}")
