"""Choose the library that runs a model, and open the model with it.

The libraries are imported here when they are asked for: a plain install has no torch.
"""

import importlib.util
from pathlib import Path

from relik.backends.base import EncoderBackend, ReaderBackend
from relik.errors import ConfigError

BACKENDS = ("onnx", "torch", "auto")


def open_encoder_backend(folder: Path, backend: str, *, threads: int = 0) -> EncoderBackend:
    """Open a query encoder.

    Args:
        folder: With config.json and the files of the backend.
        backend: "onnx", "torch", or "auto": torch where there is a GPU for it, else ONNX.
        threads: Threads of the ONNX backend, 0 for one per core.

    Returns:
        The encoder.

    Raises:
        BundleError: The folder has no encoder for that backend.
        ConfigError: There is no such backend, or it is not installed.
    """
    if _chosen(backend) == "torch":
        from relik.backends.torch_backend import TorchEncoder

        return TorchEncoder.open(folder)
    from relik.backends.onnx_backend import OnnxEncoder

    return OnnxEncoder.open(folder, threads=threads)


def open_reader_backend(folder: Path, backend: str, *, threads: int = 0) -> ReaderBackend:
    """Open a reader.

    Args:
        folder: With config.json and the files of the backend.
        backend: "onnx", "torch", or "auto": torch where there is a GPU for it, else ONNX.
        threads: Threads of the ONNX backend, 0 for one per core.

    Returns:
        The reader.

    Raises:
        BundleError: The folder has no reader for that backend.
        ConfigError: There is no such backend, or it is not installed.
    """
    if _chosen(backend) == "torch":
        from relik.backends.torch_backend import TorchReader

        return TorchReader.open(folder)
    from relik.backends.onnx_backend import OnnxReader

    return OnnxReader.open(folder, threads=threads)


def _chosen(backend: str) -> str:
    if backend not in BACKENDS:
        raise ConfigError(
            f"got the backend {backend!r}, expected {', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}"
        )
    installed = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))
    if backend == "auto":
        if not installed:
            return "onnx"
        from relik.backends.torch_backend import has_gpu

        return "torch" if has_gpu() else "onnx"
    if backend == "torch" and not installed:
        raise ConfigError(
            "the backend 'torch' is not installed: run `pip install 'relik-server[gpu]'`, "
            "or use the backend 'onnx'"
        )
    return backend
