"""Opens the models of a bundle for the server."""

from relik.bundle import LAYOUT, Bundle
from relik.manifest import MANIFEST, read_manifest
from relik_serve.stages import Served


def open_served(bundle: Bundle, *, backend: str) -> Served:
    """Open the models of a bundle.

    Args:
        bundle: An opened bundle.
        backend: "onnx", "torch", or "auto".

    Returns:
        Its pipeline, and how much it knows.

    Raises:
        BundleError: A model or an index cannot be used.
        ConfigError: There is no such backend.
    """
    return Served(
        stages=bundle.pipeline(backend),
        n_entities=_count(bundle, LAYOUT.entities),
        n_relations=_count(bundle, LAYOUT.relations),
    )


def _count(bundle: Bundle, index: str) -> int:
    if f"{index}/{MANIFEST}" not in bundle.manifest.files:
        return 0
    return read_manifest(bundle.path / index).value("rows", int)
