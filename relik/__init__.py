"""Knowledge-base-grounded entity linking and relation extraction: text in, annotations out."""

from typing import TYPE_CHECKING

from relik.errors import (
    BundleCorruptError,
    BundleError,
    BundleNotFoundError,
    BundleVersionError,
    ConfigError,
    DimensionMismatchError,
    InferenceError,
    InputError,
    RelikError,
    TextTooLongError,
)
from relik.types import (
    AnnotateOptions,
    Annotation,
    Candidate,
    Coverage,
    Document,
    Entity,
    EntitySpan,
    MentionPair,
    Relation,
    Span,
    Triple,
    Window,
)

if TYPE_CHECKING:
    from relik.bundle import Bundle, open_bundle
    from relik.pipeline import Pipeline
    from relik.upstream.dropin.relik import Relik

__version__ = "0.12.0"

__all__ = [
    "AnnotateOptions",
    "Annotation",
    "Bundle",
    "BundleCorruptError",
    "BundleError",
    "BundleNotFoundError",
    "BundleVersionError",
    "Candidate",
    "ConfigError",
    "Coverage",
    "DimensionMismatchError",
    "Document",
    "Entity",
    "EntitySpan",
    "InferenceError",
    "InputError",
    "MentionPair",
    "Pipeline",
    "Relation",
    "Relik",
    "RelikError",
    "Span",
    "TextTooLongError",
    "Triple",
    "Window",
    "open_bundle",
]

_LAZY = {
    "Bundle": "relik.bundle",
    "Pipeline": "relik.pipeline",
    "Relik": "relik.upstream.dropin.relik",
    "open_bundle": "relik.bundle",
}


def __getattr__(name: str) -> object:
    # Opening a bundle pulls in ONNX Runtime and Arrow; the types alone should not.
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'relik' has no attribute {name!r}")
