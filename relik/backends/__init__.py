"""Run the stage functions of a model: ONNX Runtime (CPU) and torch (GPU, training)."""

from relik.backends.backend import EncoderBackend, ReaderBackend
from relik.backends.open_backend import open_encoder_backend, open_reader_backend
from relik.backends.word_embeddings import WordEmbeddings, open_markers, quantise_table

__all__ = [
    "EncoderBackend",
    "ReaderBackend",
    "WordEmbeddings",
    "open_encoder_backend",
    "open_markers",
    "open_reader_backend",
    "quantise_table",
]
