"""ONNX export of released encoders and readers: weights, graphs and settings.

The graphs compute what `relik.models.reader_module` and `relik.upstream.index.query_encoder` do,
one row at a time.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from relik.backends.onnx_rows import (
    COMPARE,
    ENCODE,
    ENDS,
    FORMAT,
    LINK,
    SHAPE,
    SIDES,
    VECTORS,
    WEIGHTS,
    RowShape,
)
from relik.backends.tensors import TensorFile
from relik.types import FloatArray, IntArray
from relik.upstream.checkpoint.backbone_settings import (
    CONFIG,
    find_backbone,
    max_positions,
    read_config,
)
from relik.upstream.checkpoint.reader_config import CheckpointSettings
from relik.upstream.index.query_encoder import UpstreamEncoder
from relik.upstream.reader.released_model import UpstreamReaderModel
from relik_index.graphs.backbones import KEPT, POSITIONS, ROWS, Backbone, BackboneShape
from relik_index.graphs.graph import FLOAT, INT, Specs
from relik_index.graphs.rows import RowGraph, quantise_weights

Weights: TypeAlias = Literal["float32", "int8"]

_BACKBONE = "transformer_model."
# Embedding tables, and weights that the graph multiplies with constants only.
_KEPT_WHOLE = ("embeddings.", "rel_embeddings", "ned_end_classifier.")


def write_encoder(
    source: Path, out: Path, *, weights: Weights, samples: Sequence[IntArray] = ()
) -> None:
    """Write the weights, the graph and the input settings of a released encoder.

    Args:
        samples: Token ids, int64, of typical rows, to which the scales of int8 are fitted.

    Raises:
        BundleError: A file of the source is missing or broken.
        ConfigError: No graph exists for its backbone.
    """
    config = read_config(source / CONFIG)
    shape = BackboneShape.of(config)
    encoder = UpstreamEncoder.open(source)
    ranges = encoder.ranges(samples) if weights == "int8" else {}
    graph = RowGraph(_write_weights(encoder.tensors(), out, weights, ranges))
    # Several short rows use a core better. In int8 they would share one scale, so that the result
    # for a row would depend on the others.
    several = weights == "float32" and not shape.relative
    backbone = Backbone(graph, shape, prefix="", several=several)
    hidden = backbone.by_row(backbone.add())
    mean = graph.node("ReduceMean", [hidden, graph.ints(1)], attributes={"keepdims": 0})
    graph.layer_norm(mean, "layer_norm_layer", shape.eps, output="vectors")
    outputs: Specs = {"vectors": (FLOAT, ["rows" if several else 1, shape.hidden])}
    more: Specs = {POSITIONS: (INT, ["tokens"]), ROWS: (INT, [1])} if several else {}
    graph.save(out / VECTORS, inputs=shape.inputs | more, outputs=outputs)
    _write_shape(shape, config, out, prefix="", weights=weights)


def write_reader(
    source: Path,
    out: Path,
    *,
    settings: CheckpointSettings,
    backbone: Path | None,
    weights: Weights,
    samples: Sequence[IntArray] = (),
) -> None:
    """Write the weights, the graphs and the input settings of a released reader.

    Args:
        backbone: Folder with the settings of its backbone; None to find them by its name.
        samples: Token ids, int64, of typical rows, to which the scales of int8 are fitted.

    Raises:
        BundleError: A file of the source is missing or broken.
        ConfigError: Its backbone is unknown, or no graph exists for it.
    """
    config = find_backbone(settings.backbone, beside=source, folder=backbone)
    shape = BackboneShape.of(config, layers=settings.n_layers)
    model = UpstreamReaderModel.open(
        source, kind=settings.kind, backbone=backbone, device="cpu", precision="float32"
    )
    ranges = model.ranges(samples) if weights == "int8" else {}
    stored = _write_weights(model.tensors(), out, weights, ranges)
    heads = _Heads(settings, shape)
    stages: dict[str, Callable[[RowGraph], tuple[Specs, Specs]]] = {
        ENCODE: heads.encode,
        ENDS: heads.ends,
    }
    if settings.heads.links or settings.heads.types:
        stages[LINK] = heads.link
    if settings.heads.relations:
        stages |= {SIDES: heads.sides, COMPARE: heads.compare}
    for name, add in stages.items():
        graph = RowGraph(stored)
        inputs, outputs = add(graph)
        graph.save(out / name, inputs=inputs, outputs=outputs)
    _write_shape(shape, config, out, prefix=_BACKBONE, weights=weights)


def _write_weights(
    tensors: Mapping[str, FloatArray],
    out: Path,
    weights: Weights,
    ranges: Mapping[str, FloatArray],
) -> TensorFile:
    out.mkdir(parents=True, exist_ok=True)
    stored: dict[str, NDArray[np.generic]] = dict(tensors)
    if weights == "int8":
        stored = quantise_weights(tensors, keep=_KEPT_WHOLE, ranges=ranges)
    path = out / WEIGHTS
    # save_file creates a file that only its owner can read.
    path.write_bytes(save({name: np.ascontiguousarray(value) for name, value in stored.items()}))
    return TensorFile.open(path)


def _write_shape(
    shape: BackboneShape,
    config: Mapping[str, object],
    out: Path,
    *,
    prefix: str,
    weights: Weights,
) -> None:
    row = RowShape(
        words=f"{prefix}embeddings.word_embeddings.weight",
        hidden=shape.hidden,
        types=shape.types,
        relative=shape.relative,
        buckets=shape.buckets,
        farthest=shape.farthest,
        positions=max_positions(config) or 0,
        weights=weights,
    )
    content = json.dumps({"format": FORMAT} | asdict(row), indent=1)
    (out / SHAPE).write_text(content + "\n", encoding="utf-8")


class _Heads:
    """Adds the stages of a released reader, each to its own graph."""

    def __init__(self, settings: CheckpointSettings, backbone: BackboneShape) -> None:
        self._settings = settings
        self._backbone = backbone
        self._hidden: Specs = {"hidden": (FLOAT, ["tokens", backbone.hidden])}

    def encode(self, graph: RowGraph) -> tuple[Specs, Specs]:
        """Add the backbone, the start logits and the marker projections."""
        shape, heads = self._backbone, self._settings.heads
        Backbone(graph, shape, prefix=_BACKBONE).add(kept=KEPT)
        self._classifier(graph, "hidden", "ned_start_classifier", output="start_logits")
        inputs: Specs = shape.inputs | {KEPT: (INT, ["kept"])}
        outputs: Specs = {
            "hidden": (FLOAT, ["kept", shape.hidden]),
            "start_logits": (FLOAT, ["kept", 2]),
        }
        if heads.links or heads.types:
            inputs["entity_positions"] = (INT, ["entities"])
            markers = graph.take("hidden", "entity_positions")
            outputs["entity_vectors"] = (FLOAT, ["entities", self._link_width])
            if heads.types:
                self._projector(graph, markers, "re_definition_projector", output="entity_vectors")
            else:
                self._both(graph, markers, markers, output="entity_vectors")
        if heads.relations:
            inputs["relation_positions"] = (INT, ["relations"])
            markers = graph.take("hidden", "relation_positions")
            self._projector(graph, markers, "re_relation_projector", output="relation_vectors")
            outputs["relation_vectors"] = (FLOAT, ["relations", self._settings.width])
        return inputs, outputs

    def ends(self, graph: RowGraph) -> tuple[Specs, Specs]:
        """Add the scores of every token as the end of each start."""
        name, size = "ned_end_classifier", self._backbone.hidden
        # The first layer reads a token and a start: each half of its matrix is applied once.
        of_token, of_start = graph.halves(f"{name}.dense_0.weight", size)
        tokens = graph.node("MatMul", ["hidden", of_token])  # (tokens, hidden)
        starts = graph.node("MatMul", [graph.take("hidden", "starts"), of_start])
        starts = graph.node("Add", [starts, graph.weight(f"{name}.dense_0.bias")])
        starts = graph.node("Unsqueeze", [starts, graph.ints(1)])  # (starts, 1, hidden)
        mixed = graph.node("Tanh", [graph.node("Add", [tokens, starts])])
        mixed = graph.layer_norm(mixed, f"{name}.LayerNorm", self._backbone.eps)
        logits = graph.matmul(mixed, f"{name}.dense_1.weight")  # (starts, tokens, classes)
        graph.node("Add", [logits, graph.weight(f"{name}.dense_1.bias")], output="end_logits")
        inputs: Specs = self._hidden | {"starts": (INT, ["starts"])}
        classes = self._settings.heads.end_classes
        return inputs, {"end_logits": (FLOAT, ["starts", "tokens", classes])}

    def link(self, graph: RowGraph) -> tuple[Specs, Specs]:
        """Add the scores of the entities for each span."""
        first, last = graph.take("hidden", "starts"), graph.take("hidden", "ends")
        if self._settings.heads.types:
            whole = graph.node("Concat", [first, last], attributes={"axis": -1})
            spans = self._projector(graph, whole, "re_entities_projector")
        else:
            spans = self._both(graph, first, last)
        graph.node(
            "Gemm", [spans, "entity_vectors"], output="link_logits", attributes={"transB": 1}
        )
        inputs: Specs = self._hidden | {key: (INT, ["spans"]) for key in ("starts", "ends")}
        inputs["entity_vectors"] = (FLOAT, ["entities", self._link_width])
        return inputs, {"link_logits": (FLOAT, ["spans", "entities"])}

    def sides(self, graph: RowGraph) -> tuple[Specs, Specs]:
        """Add the vectors of spans as subjects and as objects."""
        width, size = self._settings.width, self._backbone.hidden
        parts = [graph.take("hidden", "starts"), graph.take("hidden", "ends")]
        inputs: Specs = self._hidden | {key: (INT, ["spans"]) for key in ("starts", "ends")}
        if self._settings.heads.type_embedding:
            parts.append("entities")
            inputs["entities"] = (FLOAT, ["spans", size])
        whole = graph.node("Concat", parts, attributes={"axis": -1})
        spans = self._projector(graph, whole, "re_projector")  # (spans, 2L)
        outputs: Specs = {}
        for k, name in enumerate(("as_subject", "as_object")):
            graph.sliced(spans, k * width, (k + 1) * width, axis=1, output=name)
            outputs[name] = (FLOAT, ["spans", width])
        return inputs, outputs

    def compare(self, graph: RowGraph) -> tuple[Specs, Specs]:
        """Add the scores of the relations for each pair of spans."""
        width = self._settings.width
        pairs = graph.node("Mul", ["subjects", "objects"])  # (pairs, L)
        pairs = graph.node("Unsqueeze", [pairs, graph.ints(1)])
        mixed = graph.node("Mul", [pairs, "relation_vectors"])  # (pairs, relations, L)
        flat = graph.node("Reshape", [mixed, graph.ints(-1, width)])
        logits = self._classifier(graph, flat, "re_classifier")
        count = graph.node("Shape", ["relation_vectors"], attributes={"start": 0, "end": 1})
        shape = graph.node("Concat", [graph.ints(-1), count, graph.ints(2)], attributes={"axis": 0})
        graph.node("Reshape", [logits, shape], output="relation_logits")
        inputs: Specs = {name: (FLOAT, ["pairs", width]) for name in ("subjects", "objects")}
        inputs["relation_vectors"] = (FLOAT, ["relations", width])
        return inputs, {"relation_logits": (FLOAT, ["pairs", "relations", 2])}

    @property
    def _link_width(self) -> int:
        return self._settings.width if self._settings.heads.types else 2 * self._settings.width

    def _both(self, graph: RowGraph, first: str, last: str, *, output: str = "") -> str:
        parts = [
            self._projector(graph, value, f"ed_{side}_projector")
            for side, value in (("start", first), ("end", last))
        ]
        return graph.node("Concat", parts, output=output, attributes={"axis": -1})

    def _projector(self, graph: RowGraph, value: str, name: str, *, output: str = "") -> str:
        outer = graph.linear(self._inner(graph, value, f"{name}.1"), f"{name}.4")
        return graph.layer_norm(outer, f"{name}.5", self._backbone.eps, output=output)

    def _classifier(self, graph: RowGraph, value: str, name: str, *, output: str = "") -> str:
        logits = graph.linear(self._inner(graph, value, f"{name}.1"), f"{name}.4")
        return graph.node("Identity", [logits], output=output) if output else logits

    def _inner(self, graph: RowGraph, value: str, name: str) -> str:
        if self._settings.activation == "relu":
            return graph.node("Relu", [graph.linear(value, name)])
        found = graph.biased_gelu(value, name)
        if self._settings.activation == "gelu_10":
            found = graph.node("Clip", [found, graph.scalar(-10.0), graph.scalar(10.0)])
        return found
