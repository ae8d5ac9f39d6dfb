"""Measure the cost of reading the words between two mentions: `relate` with and without it.

Usage: python benchmarks/between.py BUNDLE

BUNDLE is a closed-schema bundle trained with `between`. Both graphs are built from its weights and
run alternately on the same random states.
"""

import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

from relik.backends.tensors import TensorFile
from relik.layout import LAYOUT
from relik_index.graphs.encoders import EncoderConfig
from relik_index.graphs.graph import Graph
from relik_index.graphs.heads import Heads

ROWS, TOKENS, SPANS, ROUNDS = 8, 128, 12, 15


def main() -> None:
    """Print milliseconds of both and their ratio."""
    folder = Path(sys.argv[1]) / LAYOUT.reader
    config = json.loads((folder / LAYOUT.config).read_text(encoding="utf-8"))
    heads, encoder = config["heads"], EncoderConfig.of(config["backbone"])
    rng = np.random.default_rng(0)
    starts = rng.integers(1, TOKENS - 4, ROWS * SPANS)
    pairs = [
        (row * SPANS + a, row * SPANS + b)
        for row in range(ROWS)
        for a in range(SPANS)
        for b in range(SPANS)
        if a != b
    ]
    n_relations, width = config["markers"]["n_relations"], heads["linears_hidden_size"]
    feed = {
        "hidden": rng.normal(size=(ROWS, TOKENS, encoder.hidden_size)).astype(np.float32),
        "rows": np.repeat(np.arange(ROWS), SPANS),
        "starts": starts,
        "ends": starts + 1,
        "subjects": np.array([a for a, _ in pairs]),
        "objects": np.array([b for _, b in pairs]),
        "relation_vectors": rng.normal(size=(ROWS, n_relations, width)).astype(np.float32),
    }
    sessions = {kind: _session(folder, heads, encoder, between=kind) for kind in (False, True)}
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for number in range(ROUNDS + 2):
        for kind, session in sessions.items():
            start_time = time.perf_counter()
            session.run(None, feed)
            if number >= 2:
                seconds[kind].append(time.perf_counter() - start_time)
    without, with_it = (1000 * statistics.median(seconds[kind]) for kind in (False, True))
    print(f"{len(pairs)} pairs in {ROWS} rows of {TOKENS} tokens, {n_relations} relations")
    print(f"without {without:.1f} ms, with {with_it:.1f} ms, ratio {with_it / without:.2f}")


def _session(folder: Path, heads: dict, encoder: object, *, between: bool) -> ort.InferenceSession:
    stages = Heads(
        encoder,
        width=heads["linears_hidden_size"],
        eps=heads["layer_norm_eps"],
        activation=heads["activation"],
        between=between,
    )
    graph = Graph(TensorFile.open(folder / LAYOUT.weights))
    inputs, outputs = stages.relate(graph)
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(folder / LAYOUT.weights, scratch)
        path = Path(scratch) / "relate.onnx"
        graph.save(path, inputs=inputs, outputs=outputs)
        return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
