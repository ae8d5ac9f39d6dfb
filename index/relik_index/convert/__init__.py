"""Turns released ReLiK pipelines into bundles of ours."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relik_index.convert.pipeline import ConvertOptions, convert_pipeline

__all__ = ["ConvertOptions", "convert_pipeline"]


def __getattr__(name: str) -> object:
    # Converting pulls in torch; the command line alone should not.
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("relik_index.convert.pipeline"), name)
    raise AttributeError(f"module 'relik_index.convert' has no attribute {name!r}")
