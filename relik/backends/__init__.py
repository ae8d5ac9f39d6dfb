"""Run the stage functions of a model: ONNX Runtime (CPU) and torch (GPU, training)."""

from relik.backends.base import EncoderBackend, ReaderBackend
from relik.backends.embeddings import WordEmbeddings, open_markers, quantise_table
from relik.backends.opening import open_encoder_backend, open_reader_backend

__all__ = [
    "EncoderBackend",
    "ReaderBackend",
    "WordEmbeddings",
    "open_encoder_backend",
    "open_markers",
    "open_reader_backend",
    "quantise_table",
]
