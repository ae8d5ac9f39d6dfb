"""Compare ONNX Runtime with the int8 weights of a bundle, and torch with its float32 weights."""

import argparse
import json
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from relik import open_bundle
from relik.evaluation import evaluate_entities, read_gold
from relik.pipeline import Pipeline
from relik.types import AnnotateOptions


def use_float_weights(pipeline: Pipeline, retriever: Path, reader: Path) -> None:
    """Load the unquantised weights of two runs into a torch pipeline."""
    parts = pipeline._parts  # no public access to the weights
    parts.reader._parts.backend.model.load_state_dict(load_file(reader / "model.safetensors"))
    encoder = parts.entity_retriever._encoder
    encoder._backend.model.load_state_dict(load_file(retriever / "model.safetensors"))


def main() -> None:
    """Evaluate both on one file and report F1 and seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--bundle", default="default")
    parser.add_argument("--retriever", type=Path, default=Path("runs/retriever"))
    parser.add_argument("--reader", type=Path, default=Path("runs/reader"))
    parser.add_argument("--limit", type=int, default=0)
    arguments = parser.parse_args()
    bundle = open_bundle(arguments.bundle)
    gold = read_gold(arguments.file, limit=arguments.limit or None)
    report: dict[str, object] = {"threads": torch.get_num_threads()}
    for name in ("onnx", "torch"):
        pipeline = bundle.pipeline(name)
        if name == "torch":
            use_float_weights(pipeline, arguments.retriever, arguments.reader)
        start_time = time.perf_counter()
        rating = evaluate_entities(
            pipeline, gold, known=pipeline.entities, options=AnnotateOptions(relations=False)
        )
        report[name] = {"seconds": round(time.perf_counter() - start_time, 1), **rating}
    print(json.dumps(report, default=str))


if __name__ == "__main__":
    main()
