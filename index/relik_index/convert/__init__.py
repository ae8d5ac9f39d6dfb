"""Conversion of released ReLiK pipelines to bundles."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relik_index.convert.pipeline import ConvertOptions, convert_pipeline

__all__ = ["ConvertOptions", "convert_pipeline"]


def __getattr__(name: str) -> object:
    # Conversion imports torch, which the command line alone must not wait for.
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("relik_index.convert.pipeline"), name)
    raise AttributeError(f"module 'relik_index.convert' has no attribute {name!r}")
