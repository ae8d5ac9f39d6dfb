"""Readers and encoders on ONNX Runtime, one row of tokens at a time, on the CPU.

A row alone needs no padding, and its answer cannot depend on other rows. Rows are shared out
between threads, each of which takes a graph from its first to its last operation, since waiting
for each other at every operation costs more than it gains.
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

from relik.backends.tensors import TensorFile
from relik.errors import BundleCorruptError, BundleNotFoundError, BundleVersionError, InferenceError
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

_ERRORS_ONLY = 3
# Tokens from which the threads of one row gain more than they lose by waiting for each other.
_LONG = 64

Feed = Mapping[str, NDArray[np.generic]]
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowShape:
    """What has to be known of a backbone to feed its graph.

    Args:
        words: Name of the table of word embeddings among the weights.
        hidden: Width.
        types: It reads token types.
        relative: It reads distances between tokens.
        buckets: Distances that are told apart to each side; 0 for each on its own.
        farthest: Distance that shares the last bucket with all larger ones.
        positions: Most tokens of a row; 0 where any number will do.
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
        """Read it from the folder of a model.

        Args:
            folder: With `graphs.json`.

        Returns:
            The shape.

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
                f"{path}: is missing, expected what a converted model needs: convert it again"
            ) from error
        except (OSError, ValueError) as error:
            raise BundleCorruptError(f"{path}: is not JSON ({error}): convert it again") from error
        stated = content.pop("format", None) if isinstance(content, dict) else None
        if not isinstance(stated, int) or stated > FORMAT:
            raise BundleVersionError(
                f"{path}: got format {stated!r}, expected at most {FORMAT}: upgrade relik-server"
            )
        kinds = {name: kind for name, kind in cls.__annotations__.items()}
        fits = content.keys() == kinds.keys() and all(
            type(content[name]) is kind for name, kind in kinds.items()
        )
        if not fits:
            raise BundleCorruptError(
                f"{path}: got {', '.join(content)}, expected {', '.join(kinds)}: convert it again"
            )
        return cls(**content)


class RowModel:
    """A backbone and what follows it, as graphs that read one row.

    Args:
        sessions: Graphs by file name.
        shape: How to feed them.
        words: Float32, (n_words, hidden), mapped.
        threads: Rows that are read side by side.
        open_wide: Opens a graph for all threads at once, for a row that is alone.
    """

    def __init__(
        self,
        sessions: Mapping[str, ort.InferenceSession],
        shape: RowShape,
        words: FloatArray,
        *,
        threads: int,
        open_wide: Callable[[str], ort.InferenceSession],
    ) -> None:
        self._sessions = sessions
        self._shape = shape
        self._words = words
        self._open_wide = open_wide
        self._wide: dict[str, ort.InferenceSession] = {}
        self._opening = threading.Lock()
        self._alone = threading.local()
        self._relative = np.zeros((0, 0), dtype=np.int64)
        self.threads = threads

    @classmethod
    def open(cls, folder: Path, *, threads: int = 0) -> "RowModel":
        """Open the graphs of a folder.

        Args:
            folder: With graphs, weights and `graphs.json`.
            threads: Rows to read side by side; 0 for as many as there are cores.

        Returns:
            The model.

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
            opened = list(pool.map(lambda name: _session(folder / name), names))
        threads = threads or _cores()
        return cls(
            dict(zip(names, opened, strict=True)),
            shape,
            words.view(np.float32),
            threads=threads,
            open_wide=lambda name: _session(folder / name, threads=threads),
        )

    @property
    def n_words(self) -> int:
        """Number of ids that have an embedding."""
        return len(self._words)

    @property
    def hidden(self) -> int:
        """Width of the states."""
        return self._shape.hidden

    @property
    def positions(self) -> int | None:
        """Most tokens of a row, or None where any number will do."""
        return self._shape.positions or None

    def has(self, name: str) -> bool:
        """Tell whether there is a graph.

        Args:
            name: Its file name.

        Returns:
            True if it is there.
        """
        return name in self._sessions

    def takes(self, name: str, value: str) -> bool:
        """Tell whether a graph has an input.

        Args:
            name: Its file name.
            value: Name of the input.

        Returns:
            True if it has.
        """
        return any(one.name == value for one in self._sessions[name].get_inputs())

    def feed(self, ids: IntArray, types: IntArray) -> dict[str, NDArray[np.generic]]:
        """Look up what the graph of the backbone reads.

        Args:
            ids: Int64, (n_tokens,), each below `n_words`.
            types: Int64, (n_tokens,), token types.

        Returns:
            Inputs by name.
        """
        inputs: dict[str, NDArray[np.generic]] = {"inputs_embeds": self._words[ids]}
        if self._shape.types:
            inputs["token_type_ids"] = types
        if self._shape.relative:
            inputs["relative_positions"] = self._distances(len(ids))
        return inputs

    def run(self, name: str, feed: Feed) -> list[FloatArray]:
        """Run a graph.

        Args:
            name: Its file name.
            feed: Its inputs.

        Returns:
            Its outputs, in order.

        Raises:
            InferenceError: ONNX Runtime failed.
        """
        try:
            outputs: list[FloatArray] = self._session(name, feed).run(None, feed)
        # ONNX Runtime's exceptions share no base below Exception.
        except Exception as error:
            shapes = ", ".join(f"{key} {value.shape}" for key, value in feed.items())
            raise InferenceError(
                f"ONNX Runtime failed on {shapes} ({error}): report it with the text that caused it"
            ) from error
        return outputs

    def each(self, work: Callable[[In], Out], items: Sequence[In]) -> list[Out]:
        """Do something for each of many rows, side by side.

        Args:
            work: What to do; may be called from any thread.
            items: The rows.

        Returns:
            What it gave, in the same order.
        """
        if self.threads == 1:
            return [work(item) for item in items]
        if len(items) < 2:
            self._alone.value = True
            try:
                return [work(item) for item in items]
            finally:
                self._alone.value = False
        with ThreadPoolExecutor(min(self.threads, len(items))) as pool:
            return list(pool.map(work, items))

    def _session(self, name: str, feed: Feed) -> ort.InferenceSession:
        """Choose a graph: that of all threads for a long row that is alone."""
        words = feed.get("inputs_embeds")
        alone = getattr(self._alone, "value", False)
        if not alone or words is None or len(words) < _LONG:
            return self._sessions[name]
        with self._opening:
            if name not in self._wide:
                self._wide[name] = self._open_wide(name)
            return self._wide[name]

    def _distances(self, count: int) -> IntArray:
        """Return the row of the table of distances for each pair of tokens, (count, count)."""
        if len(self._relative) < count:
            self._relative = distance_rows(
                count, buckets=self._shape.buckets, farthest=self._shape.farthest
            )
        return np.ascontiguousarray(self._relative[:count, :count])


def distance_rows(count: int, *, buckets: int, farthest: int) -> IntArray:
    """Give each pair of tokens its row in a table of distances.

    Near distances have a row each, far ones share one by their logarithm. Source: He et al. 2021,
    and the implementation of DeBERTa-v2 in transformers.

    Args:
        count: Tokens.
        buckets: Rows to each side; 0 to tell all distances below `farthest` apart.
        farthest: Distance that shares the last row with all larger ones.

    Returns:
        Int64, (count, count), by the asking token and the one that is looked at.
    """
    places = np.arange(count, dtype=np.int64)
    distance = places[:, np.newaxis] - places[np.newaxis, :]
    span = buckets or farthest
    if buckets:
        middle = buckets // 2
        size = np.maximum(np.abs(distance), middle).astype(np.float32)
        scale = np.float32(math.log((farthest - 1) / middle))
        steps = np.ceil(np.log(size / np.float32(middle)) / scale * np.float32(middle - 1))
        far = (steps.astype(np.int64) + middle) * np.sign(distance)
        distance = np.where(np.abs(distance) <= middle, distance, far)
    return np.clip(distance + span, 0, 2 * span - 1)


def _session(path: Path, *, threads: int = 1) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait would take the cores from other graphs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _ERRORS_ONLY
    # Shapes differ from row to row, so there is no pattern of memory to plan for.
    options.enable_mem_pattern = False
    try:
        return ort.InferenceSession(
            path,
            options,
            providers=["CPUExecutionProvider"],
            # On the CPU its operator is several times slower than an addition and a norm.
            disabled_optimizers=["SkipLayerNormFusion"],
        )
    # ONNX Runtime's exceptions share no base below Exception.
    except Exception as error:
        raise BundleCorruptError(
            f"{path}: ONNX Runtime cannot open it ({error}): fetch or build it again"
        ) from error


def _cores() -> int:
    # Cores that this process may use, which in a container are fewer than there are.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
