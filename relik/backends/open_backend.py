"""Opens the encoder and the reader of a bundle on ONNX Runtime or on torch."""

import importlib.util
from pathlib import Path

from relik.backends.backend import EncoderBackend, ReaderBackend
from relik.errors import ConfigError

BACKENDS = ("onnx", "torch", "auto")


def open_encoder_backend(folder: Path, backend: str, *, threads: int = 0) -> EncoderBackend:
    """Open a query encoder.

    Args:
        backend: "onnx", "torch", or "auto": torch where there is a GPU for it, else ONNX.
        threads: Threads of the ONNX backend, 0 for one per core.

    Raises:
        BundleError: The folder has no encoder for that backend.
        ConfigError: There is no such backend, or it is not installed.
    """
    if _resolve(backend) == "torch":
        from relik.backends.torch_backend import TorchEncoder

        return TorchEncoder.open(folder)
    from relik.backends.onnx_backend import OnnxEncoder

    return OnnxEncoder.open(folder, threads=threads)


def open_reader_backend(folder: Path, backend: str, *, threads: int = 0) -> ReaderBackend:
    """Open a reader; arguments are those of `open_encoder_backend`.

    Raises:
        BundleError: The folder has no reader for that backend.
        ConfigError: There is no such backend, or it is not installed.
    """
    if _resolve(backend) == "torch":
        from relik.backends.torch_backend import TorchReader

        return TorchReader.open(folder)
    from relik.backends.onnx_backend import OnnxReader

    return OnnxReader.open(folder, threads=threads)


def _resolve(backend: str) -> str:
    if backend not in BACKENDS:
        raise ConfigError(
            f"got the backend {backend!r}, expected {', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}: "
            "choose one of them"
        )
    installed = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))
    if backend == "auto":
        if not installed:
            return "onnx"
        from relik.backends.torch_backend import has_gpu

        return "torch" if has_gpu() else "onnx"
    if backend == "torch" and not installed:
        raise ConfigError(
            "got the backend 'torch', expected torch and transformers to be installed: run "
            "`pip install 'relik-server[gpu]'`, or use the backend 'onnx'"
        )
    return backend
