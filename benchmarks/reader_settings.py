"""What a setting of the reader is worth: entity linking with each of some values of it.

Usage: python benchmarks/reader_settings.py FILE SETTING VALUE [VALUE ...] [--bundle DIR] [--kb DIR]
           [--limit N]

SETTING is a number of `[reader]` in pipeline.toml, such as unnamed_nil_weight; nothing is trained.
FILE is gold as of `relik evaluate entities`, whose `inkb` and `with_nil` are told for each.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from relik.bundle import open_bundle
from relik.evaluation.gold import read_gold
from relik.evaluation.score import evaluate_entities
from relik.pipeline import open_pipeline
from relik.types import AnnotateOptions


def main() -> None:
    """Print the figures by value."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("setting")
    parser.add_argument("values", type=float, nargs="+")
    parser.add_argument("--bundle", default="default")
    parser.add_argument("--kb", type=Path)
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    bundle = open_bundle(given.bundle)
    gold = read_gold(given.file, limit=given.limit)
    told = {}
    for value in given.values:
        kind = type(getattr(bundle.config.reader, given.setting))
        reader = replace(bundle.config.reader, **{given.setting: kind(value)})
        changed = replace(bundle, config=replace(bundle.config, reader=reader))
        pipeline = open_pipeline(changed, backend="onnx", entities=given.kb)
        options = AnnotateOptions()
        told[str(value)] = evaluate_entities(
            pipeline, gold, known=pipeline.entities, options=options
        )
    print(json.dumps({"setting": given.setting, "documents": len(gold), "values": told}))


if __name__ == "__main__":
    main()
