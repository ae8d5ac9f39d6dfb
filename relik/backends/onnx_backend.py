"""Encoder and reader on ONNX Runtime, batches of padded rows on the CPU."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from relik.backends.backend import ReaderBackend
from relik.errors import BundleCorruptError, BundleError, InferenceError
from relik.layout import LAYOUT
from relik.types import FloatArray, IntArray

_ERRORS_ONLY = 3

Feed: TypeAlias = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class OnnxEncoder:
    """The query encoder."""

    session: ort.InferenceSession

    @classmethod
    def open(cls, folder: Path, *, threads: int = 0) -> "OnnxEncoder":
        """Open the encoder of a folder.

        Args:
            threads: Threads to compute with, 0 for one per core.

        Raises:
            BundleError: A file is missing or broken.
        """
        return cls(_open_sessions(folder, (LAYOUT.encoder_graph,), threads)[LAYOUT.encoder_graph])

    def encode(
        self, inputs_embeds: FloatArray, token_type_ids: IntArray, attention_mask: IntArray
    ) -> FloatArray:
        """Encode token embeddings into unit vectors; see `EncoderBackend`.

        Raises:
            InferenceError: ONNX Runtime failed.
        """
        if not inputs_embeds.size:
            return np.zeros((len(inputs_embeds), inputs_embeds.shape[2]), dtype=np.float32)
        feed: Feed = {
            "inputs_embeds": inputs_embeds,
            "token_type_ids": token_type_ids,
            "attention_mask": attention_mask,
        }
        return run_session(self.session, feed)[0]


@dataclass(frozen=True, slots=True)
class OnnxReader(ReaderBackend):
    """The four stages of the reader; hidden states are numpy arrays."""

    sessions: Mapping[str, ort.InferenceSession]

    @classmethod
    def open(cls, folder: Path, *, threads: int = 0) -> "OnnxReader":
        """Open the reader of a folder.

        Args:
            threads: Threads to compute with, 0 for one per core.

        Raises:
            BundleError: A file is missing or broken.
        """
        return cls(_open_sessions(folder, LAYOUT.reader_graphs, threads))

    def encode(
        self,
        inputs_embeds: FloatArray,
        token_type_ids: IntArray,
        attention_mask: IntArray,
        entity_positions: IntArray,
        relation_positions: IntArray,
    ) -> tuple[object, FloatArray, FloatArray, FloatArray]:
        """Read text and candidates; see `ReaderBackend`.

        Raises:
            InferenceError: ONNX Runtime failed.
        """
        n_entities, n_relations = entity_positions.shape[1], relation_positions.shape[1]
        feed: Feed = {
            "inputs_embeds": inputs_embeds,
            "token_type_ids": token_type_ids,
            "attention_mask": attention_mask,
            "entity_positions": _at_least_one(entity_positions),
            "relation_positions": _at_least_one(relation_positions),
        }
        hidden, starts, entities, relations = run_session(self.sessions["encode.onnx"], feed)
        return hidden, starts, entities[:, :n_entities], relations[:, :n_relations]

    def _states(self, hidden: object) -> FloatArray:
        if not isinstance(hidden, np.ndarray):
            raise TypeError(
                f"got hidden states of type {type(hidden).__name__}, expected a numpy array: "
                "pass those that `encode` returned"
            )
        return hidden

    def _scores(self, stage: str, feed: Feed) -> FloatArray:
        return run_session(self.sessions[f"{stage}.onnx"], feed)[0]


def _open_sessions(
    folder: Path, names: Sequence[str], threads: int
) -> dict[str, ort.InferenceSession]:
    # Opening a graph dequantises its weights, outside the interpreter lock.
    with ThreadPoolExecutor(len(names)) as pool:
        opened = pool.map(lambda name: open_session(folder / name, threads=threads), names)
        return dict(zip(names, opened, strict=True))


def open_session(path: Path, *, threads: int) -> ort.InferenceSession:
    """Open a graph on the CPU.

    Args:
        threads: Threads to compute with, 0 for one per core.

    Raises:
        BundleError: The file is missing or broken.
    """
    if not path.is_file():
        raise BundleError(
            f"{path}: is missing, expected a graph for the backend 'onnx': export the model to "
            "ONNX, or use the backend 'torch'"
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    # Memory patterns need constant shapes, and shapes differ from batch to batch.
    options.enable_mem_pattern = False
    # Spinning threads would take cores from other graphs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(
            path,
            options,
            providers=["CPUExecutionProvider"],
            # On the CPU its operator is several times slower than addition and LayerNorm.
            disabled_optimizers=["SkipLayerNormFusion"],
        )
    # ONNX Runtime's exceptions share no base below Exception.
    except Exception as error:
        raise BundleCorruptError(
            f"{path}: ONNX Runtime cannot open it ({error}): fetch or build it again"
        ) from error


def run_session(session: ort.InferenceSession, feed: Feed) -> list[FloatArray]:
    """Run a graph and return its outputs in order.

    Raises:
        InferenceError: ONNX Runtime failed.
    """
    try:
        outputs: list[FloatArray] = session.run(None, feed)
    # ONNX Runtime's exceptions share no base below Exception.
    except Exception as error:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in feed.items())
        raise InferenceError(
            f"ONNX Runtime failed on {shapes} ({error}): report it with the text that caused it"
        ) from error
    return outputs


def _at_least_one(positions: IntArray) -> IntArray:
    """Point an empty list of positions at token 0, since kernels must gather something."""
    return positions if positions.shape[1] else np.zeros((len(positions), 1), dtype=np.int64)
