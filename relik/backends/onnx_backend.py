"""Encoder and reader on ONNX Runtime, batches of padded rows on the CPU."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from relik.errors import BundleCorruptError, BundleError, InferenceError
from relik.types import FloatArray, IntArray

ENCODER = "encoder.onnx"
READER = ("encode.onnx", "ends.onnx", "link.onnx", "relate.onnx")

_ERRORS_ONLY = 3

_Feed: TypeAlias = dict[str, NDArray[np.generic]]


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
        (session,) = _open_sessions(folder, (ENCODER,), threads)
        return cls(session)

    def encode(
        self, inputs_embeds: FloatArray, token_type_ids: IntArray, attention_mask: IntArray
    ) -> FloatArray:
        """Encode token embeddings into unit vectors; see `EncoderBackend`.

        Raises:
            InferenceError: ONNX Runtime failed.
        """
        if not inputs_embeds.size:
            return np.zeros((len(inputs_embeds), inputs_embeds.shape[2]), dtype=np.float32)
        feed: _Feed = {
            "inputs_embeds": inputs_embeds,
            "token_type_ids": token_type_ids,
            "attention_mask": attention_mask,
        }
        return _run(self.session, feed)[0]


@dataclass(frozen=True, slots=True)
class OnnxReader:
    """The four stages of the reader; hidden states are numpy arrays."""

    encode_session: ort.InferenceSession
    ends_session: ort.InferenceSession
    link_session: ort.InferenceSession
    relate_session: ort.InferenceSession

    @classmethod
    def open(cls, folder: Path, *, threads: int = 0) -> "OnnxReader":
        """Open the reader of a folder.

        Args:
            threads: Threads to compute with, 0 for one per core.

        Raises:
            BundleError: A file is missing or broken.
        """
        return cls(*_open_sessions(folder, READER, threads))

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
        feed: _Feed = {
            "inputs_embeds": inputs_embeds,
            "token_type_ids": token_type_ids,
            "attention_mask": attention_mask,
            "entity_positions": _at_least_one(entity_positions),
            "relation_positions": _at_least_one(relation_positions),
        }
        hidden, starts, entities, relations = _run(self.encode_session, feed)
        return hidden, starts, entities[:, :n_entities], relations[:, :n_relations]

    def ends(
        self, hidden: object, rows: IntArray, starts: IntArray, *, n_tokens: int | None = None
    ) -> FloatArray:
        """Score the first tokens as the end of each start; see `ReaderBackend`.

        Raises:
            InferenceError: ONNX Runtime failed.
        """
        states = _states(hidden)[:, :n_tokens]
        if not len(rows):
            return np.zeros((0, states.shape[1]), dtype=np.float32)
        return _run(self.ends_session, {"hidden": states, "rows": rows, "starts": starts})[0]

    def link(
        self,
        hidden: object,
        rows: IntArray,
        starts: IntArray,
        ends: IntArray,
        entity_vectors: FloatArray,
    ) -> FloatArray:
        """Score the entities of its row for each span; see `ReaderBackend`.

        Raises:
            InferenceError: ONNX Runtime failed.
        """
        shape = (len(rows), entity_vectors.shape[1])
        if 0 in shape:
            return np.zeros(shape, dtype=np.float32)
        feed: _Feed = {"hidden": _states(hidden), "rows": rows, "starts": starts, "ends": ends}
        feed["entity_vectors"] = entity_vectors
        return _run(self.link_session, feed)[0]

    def relate(
        self,
        hidden: object,
        rows: IntArray,
        starts: IntArray,
        ends: IntArray,
        subjects: IntArray,
        objects: IntArray,
        relation_vectors: FloatArray,
    ) -> FloatArray:
        """Score the relations of its row for each pair; see `ReaderBackend`.

        Raises:
            InferenceError: ONNX Runtime failed.
        """
        shape = (len(subjects), relation_vectors.shape[1], 2)
        if 0 in shape:
            return np.zeros(shape, dtype=np.float32)
        feed: _Feed = {"hidden": _states(hidden), "rows": rows, "starts": starts, "ends": ends}
        feed |= {"subjects": subjects, "objects": objects}
        feed["relation_vectors"] = relation_vectors
        return _run(self.relate_session, feed)[0]


def _open_sessions(folder: Path, names: Sequence[str], threads: int) -> list[ort.InferenceSession]:
    # Opening a graph dequantises its weights, outside the interpreter lock.
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(lambda name: _open_session(folder / name, threads), names))


def _open_session(path: Path, threads: int) -> ort.InferenceSession:
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
    # Spinning threads would take cores from the next graph.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(
            path,
            options,
            providers=["CPUExecutionProvider"],
            # It would restore the slow operator that the graphs avoid.
            disabled_optimizers=["SkipLayerNormFusion"],
        )
    # ONNX Runtime's exceptions share no base below Exception.
    except Exception as error:
        raise BundleCorruptError(
            f"{path}: ONNX Runtime cannot open it ({error}): fetch or build it again"
        ) from error


def _run(session: ort.InferenceSession, feed: _Feed) -> list[FloatArray]:
    try:
        return session.run(None, feed)
    # ONNX Runtime's exceptions share no base below Exception.
    except Exception as error:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in feed.items())
        raise InferenceError(
            f"ONNX Runtime failed on {shapes} ({error}): report it with the text that caused it"
        ) from error


def _states(hidden: object) -> FloatArray:
    if not isinstance(hidden, np.ndarray):
        raise TypeError(
            f"got hidden states of type {type(hidden).__name__}, expected a numpy array: "
            "pass those that `encode` returned"
        )
    return hidden


def _at_least_one(positions: IntArray) -> IntArray:
    """Point an empty list of positions at token 0, since kernels must gather something."""
    return positions if positions.shape[1] else np.zeros((len(positions), 1), dtype=np.int64)
