"""Models on ONNX Runtime, on the CPU."""

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
    """The query encoder.

    Args:
        session: Its graph.
    """

    session: ort.InferenceSession

    @classmethod
    def open(cls, folder: Path, *, threads: int = 0) -> "OnnxEncoder":
        """Open the encoder of a folder.

        Args:
            folder: With the graph and its weights.
            threads: Threads to compute with, 0 for one per core.

        Returns:
            The encoder.

        Raises:
            BundleError: A file is missing or broken.
        """
        (session,) = _sessions(folder, (ENCODER,), threads)
        return cls(session)

    def encode(
        self, inputs_embeds: FloatArray, token_type_ids: IntArray, attention_mask: IntArray
    ) -> FloatArray:
        """Encode token embeddings into unit vectors; see `EncoderBackend`.

        Args:
            inputs_embeds: Float32, (batch, n_tokens, hidden).
            token_type_ids: Int64, (batch, n_tokens).
            attention_mask: Int64, (batch, n_tokens).

        Returns:
            Float32, (batch, hidden), L2-normalised.

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
    """The four stages of the reader; hidden states are numpy arrays.

    Args:
        encode_session: Graph of `encode`.
        ends_session: Graph of `ends`.
        link_session: Graph of `link`.
        relate_session: Graph of `relate`.
    """

    encode_session: ort.InferenceSession
    ends_session: ort.InferenceSession
    link_session: ort.InferenceSession
    relate_session: ort.InferenceSession

    @classmethod
    def open(cls, folder: Path, *, threads: int = 0) -> "OnnxReader":
        """Open the reader of a folder.

        Args:
            folder: With the graphs and their weights.
            threads: Threads to compute with, 0 for one per core.

        Returns:
            The reader.

        Raises:
            BundleError: A file is missing or broken.
        """
        return cls(*_sessions(folder, READER, threads))

    def encode(
        self,
        inputs_embeds: FloatArray,
        token_type_ids: IntArray,
        attention_mask: IntArray,
        entity_positions: IntArray,
        relation_positions: IntArray,
    ) -> tuple[object, FloatArray, FloatArray, FloatArray]:
        """Read text and candidates; see `ReaderBackend`.

        Args:
            inputs_embeds: Float32, (batch, n_tokens, hidden).
            token_type_ids: Int64, (batch, n_tokens).
            attention_mask: Int64, (batch, n_tokens).
            entity_positions: Int64, (batch, n_entities).
            relation_positions: Int64, (batch, n_relations).

        Returns:
            Hidden states, start logits, entity vectors, relation vectors.

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

        Args:
            hidden: From `encode`.
            rows: Int64, (n_starts,).
            starts: Int64, (n_starts,).
            n_tokens: Tokens to score; None scores all.

        Returns:
            Logits, float32, (n_starts, n_tokens).

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

        Args:
            hidden: From `encode`.
            rows: Int64, (n_spans,).
            starts: Int64, (n_spans,).
            ends: Int64, (n_spans,).
            entity_vectors: From `encode`.

        Returns:
            Logits, float32, (n_spans, n_entities).

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

        Args:
            hidden: From `encode`.
            rows: Int64, (n_spans,).
            starts: Int64, (n_spans,).
            ends: Int64, (n_spans,).
            subjects: Int64, (n_pairs,).
            objects: Int64, (n_pairs,).
            relation_vectors: From `encode`.

        Returns:
            Logits of no and yes, float32, (n_pairs, n_relations, 2).

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


def _sessions(folder: Path, names: Sequence[str], threads: int) -> list[ort.InferenceSession]:
    # Opening a graph dequantises its weights, outside the interpreter lock.
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(lambda name: _session(folder / name, threads), names))


def _session(path: Path, threads: int) -> ort.InferenceSession:
    if not path.is_file():
        raise BundleError(
            f"{path}: is missing, which the backend 'onnx' needs: export the model to ONNX, "
            "or use the backend 'torch'"
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    # Shapes differ from batch to batch, so there is no pattern of memory to plan for.
    options.enable_mem_pattern = False
    # Threads that spin while they wait would take the cores from the next graph.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(
            path,
            options,
            providers=["CPUExecutionProvider"],
            # Which would put the slow operator back that the graphs do without.
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
        raise TypeError(f"got hidden states of type {type(hidden).__name__}, give what encode gave")
    return hidden


def _at_least_one(positions: IntArray) -> IntArray:
    """Point an empty list of positions at token 0, since kernels expect something to gather."""
    return positions if positions.shape[1] else np.zeros((len(positions), 1), dtype=np.int64)
