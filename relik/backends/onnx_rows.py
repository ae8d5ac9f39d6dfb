"""Converted readers and encoders on ONNX Runtime, one row of tokens at a time, on the CPU.

A single row needs no padding, and its result cannot depend on other rows. Each thread runs the
whole graph on a row of its own: threads that share a graph wait for each other at every operation.
"""

import json
import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from relik.backends.onnx_backend import Feed, open_session, run_session
from relik.backends.tensors import TensorFile
from relik.errors import BundleCorruptError, BundleNotFoundError, BundleVersionError
from relik.types import FloatArray, IntArray

WEIGHTS, SHAPE = "model.safetensors", "graphs.json"
VECTORS = "encoder.onnx"
ENCODE, ENDS, LINK, SIDES, COMPARE = (
    "encode.onnx",
    "ends.onnx",
    "link.onnx",
    "sides.onnx",
    "compare.onnx",
)
FORMAT = 1

# From this many tokens on, a single row is faster on all threads than on one.
_LONG_ROW = 64

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowShape:
    """Inputs that the graph of a backbone takes.

    Args:
        words: Name of the table of word embeddings among the weights.
        hidden: Width of the states.
        types: Whether it takes token types.
        relative: Whether it takes distances between tokens.
        buckets: Buckets of distances to each side; 0 gives each distance a bucket of its own.
        farthest: Distance that shares the last bucket with all larger ones.
        positions: Most tokens of a row; 0 for no limit.
        weights: "float32" or "int8".
    """

    words: str
    hidden: int
    types: bool
    relative: bool
    buckets: int
    farthest: int
    positions: int
    weights: str

    @classmethod
    def read(cls, folder: Path) -> "RowShape":
        """Read `graphs.json` in the folder of a model.

        Raises:
            BundleNotFoundError: There is no such file.
            BundleVersionError: It was written in a newer format.
            BundleCorruptError: It is malformed.
        """
        path = folder / SHAPE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise BundleNotFoundError(
                f"{path}: is missing, expected the shape of a converted model: convert it again"
            ) from error
        except (OSError, ValueError) as error:
            raise BundleCorruptError(f"{path}: is not JSON ({error}): convert it again") from error
        version = content.pop("format", None) if isinstance(content, dict) else None
        if not isinstance(version, int) or version > FORMAT:
            raise BundleVersionError(
                f"{path}: got format {version!r}, expected at most {FORMAT}: upgrade relik-server"
            )
        types = dict(cls.__annotations__)
        fits = content.keys() == types.keys() and all(
            type(content[name]) is expected for name, expected in types.items()
        )
        if not fits:
            raise BundleCorruptError(
                f"{path}: got {', '.join(content)}, expected {', '.join(types)}: convert it again"
            )
        return cls(**content)


class RowModel:
    """A backbone and its heads, as graphs that read one row.

    Attributes:
        n_words: Number of ids that have an embedding.
        hidden: Width of the states.
        positions: Most tokens of a row, or None for no limit.

    Args:
        sessions: Graphs by file name, one thread each.
        words: Float32, (n_words, hidden), mapped: the word embeddings.
        threads: Rows that are read in parallel.
        open_threaded: Opens a graph that runs one row on all threads.
    """

    def __init__(
        self,
        sessions: Mapping[str, ort.InferenceSession],
        shape: RowShape,
        words: FloatArray,
        *,
        threads: int,
        open_threaded: Callable[[str], ort.InferenceSession],
    ) -> None:
        self._sessions = sessions
        self._shape = shape
        self._words = words
        self._open_threaded = open_threaded
        self._threaded: dict[str, ort.InferenceSession] = {}
        self._opening = threading.Lock()
        self._local = threading.local()
        self._relative = np.zeros((0, 0), dtype=np.int64)
        self.threads = threads
        self.n_words = len(words)
        self.hidden = shape.hidden
        self.positions = shape.positions or None

    @classmethod
    def open(cls, folder: Path, *, threads: int = 0) -> "RowModel":
        """Open the graphs of a folder.

        Args:
            threads: Rows to read in parallel; 0 for one per core.

        Raises:
            BundleError: A file is missing or broken.
        """
        shape = RowShape.read(folder)
        words = TensorFile.open(folder / WEIGHTS)[shape.words]
        if words.dtype != np.float32 or words.ndim != 2 or words.shape[1] != shape.hidden:
            raise BundleCorruptError(
                f"{folder / WEIGHTS}: got {words.dtype} {words.shape} for {shape.words}, expected "
                f"float32 (n, {shape.hidden}): convert the model again"
            )
        names = sorted(path.name for path in folder.glob("*.onnx"))
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            opened = list(pool.map(lambda name: open_session(folder / name, threads=1), names))
        threads = threads or _n_cores()
        return cls(
            dict(zip(names, opened, strict=True)),
            shape,
            words.view(np.float32),
            threads=threads,
            open_threaded=lambda name: open_session(folder / name, threads=threads),
        )

    def has(self, name: str) -> bool:
        """Tell whether there is a graph of that file name."""
        return name in self._sessions

    def takes(self, name: str, value: str) -> bool:
        """Tell whether the graph of that file name has an input `value`."""
        return any(one.name == value for one in self._sessions[name].get_inputs())

    def feed(self, ids: IntArray, types: IntArray) -> dict[str, NDArray[np.generic]]:
        """Return the inputs of the backbone's graph by name.

        Args:
            ids: Int64, (n_tokens,), each below `n_words`.
            types: Int64, (n_tokens,), token types.
        """
        inputs: dict[str, NDArray[np.generic]] = {"inputs_embeds": self._words[ids]}
        if self._shape.types:
            inputs["token_type_ids"] = types
        if self._shape.relative:
            inputs["relative_positions"] = self._relative_positions(len(ids))
        return inputs

    def run(self, name: str, feed: Feed) -> list[FloatArray]:
        """Run the graph of that file name and return its outputs in order.

        Raises:
            InferenceError: ONNX Runtime failed.
        """
        return run_session(self._choose_session(name, feed), feed)

    def each(self, work: Callable[[In], Out], items: Sequence[In]) -> list[Out]:
        """Apply a function to rows in parallel and return its results in the same order.

        Args:
            work: Called from any thread.
        """
        if self.threads == 1:
            return [work(item) for item in items]
        if len(items) < 2:
            self._local.single_row = True
            try:
                return [work(item) for item in items]
            finally:
                self._local.single_row = False
        with ThreadPoolExecutor(min(self.threads, len(items))) as pool:
            return list(pool.map(work, items))

    def _choose_session(self, name: str, feed: Feed) -> ort.InferenceSession:
        """Choose the graph of one thread, or that of all threads for a long single row."""
        words = feed.get("inputs_embeds")
        single_row = getattr(self._local, "single_row", False)
        if not single_row or words is None or len(words) < _LONG_ROW:
            return self._sessions[name]
        with self._opening:
            if name not in self._threaded:
                self._threaded[name] = self._open_threaded(name)
            return self._threaded[name]

    def _relative_positions(self, count: int) -> IntArray:
        """Return `distance_rows`, computed anew only for a longer row than before."""
        if len(self._relative) < count:
            self._relative = distance_rows(
                count, buckets=self._shape.buckets, farthest=self._shape.farthest
            )
        return np.ascontiguousarray(self._relative[:count, :count])


def distance_rows(count: int, *, buckets: int, farthest: int) -> IntArray:
    """Return the row of each pair of tokens in a table of relative positions.

    Near distances have a row each, far ones share rows by their logarithm. Source: He et al. 2021,
    and the implementation of DeBERTa-v2 in transformers.

    Args:
        buckets: Rows to each side; 0 gives each distance below `farthest` its own.
        farthest: Distance that shares the last row with all larger ones.

    Returns:
        Int64, (count, count), by query token and key token.
    """
    positions = np.arange(count, dtype=np.int64)
    distance = positions[:, np.newaxis] - positions[np.newaxis, :]
    span = buckets or farthest
    if buckets:
        middle = buckets // 2
        size = np.maximum(np.abs(distance), middle).astype(np.float32)
        scale = np.float32(math.log((farthest - 1) / middle))
        steps = np.ceil(np.log(size / np.float32(middle)) / scale * np.float32(middle - 1))
        far = (steps.astype(np.int64) + middle) * np.sign(distance)
        distance = np.where(np.abs(distance) <= middle, distance, far)
    return np.clip(distance + span, 0, 2 * span - 1)


def _n_cores() -> int:
    # Cores that this process may use: in a container often fewer than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
