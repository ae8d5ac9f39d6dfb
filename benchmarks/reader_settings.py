"""Measure the effect of a reader setting on entity linking, or triples, for several values.

Usage: python benchmarks/reader_settings.py FILE SETTING VALUE [VALUE ...] [--triples]
           [--bundle DIR] [--kb DIR] [--limit N]

SETTING is one of `[reader]` or `[rules]` in pipeline.toml, such as unnamed_nil_weight, and VALUE is
JSON: 3, true, '["P19"]'. Nothing is trained. FILE is gold for `relik evaluate entities`, and
`inkb` and `with_nil` are printed for each value; with --triples, it is gold for `relik evaluate
triples --entity-ids`.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from relik.bundle import open_bundle
from relik.config import PipelineConfig, changed
from relik.evaluation.gold import read_gold
from relik.evaluation.score import evaluate_entities, evaluate_triples
from relik.types import AnnotateOptions


def main() -> None:
    """Print the figures by value."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("setting")
    parser.add_argument("values", type=json.loads, nargs="+")
    parser.add_argument("--triples", action="store_true")
    parser.add_argument("--bundle", default="default")
    parser.add_argument("--kb", type=Path)
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    bundle = open_bundle(arguments.bundle)
    gold = read_gold(arguments.file, limit=arguments.limit)
    figures_by_value = {}
    for value in arguments.values:
        config = _with(bundle.config, arguments.setting, value)
        pipeline = replace(bundle, config=config).pipeline("onnx", entities=arguments.kb)
        known, options = pipeline.entities, AnnotateOptions()
        if arguments.triples:
            figures = evaluate_triples(
                pipeline, gold, known=known, options=options, entity_ids=True
            )
        else:
            figures = evaluate_entities(pipeline, gold, known=known, options=options)
        figures_by_value[json.dumps(value)] = figures
    print(
        json.dumps(
            {"setting": arguments.setting, "documents": len(gold), "values": figures_by_value}
        )
    )


def _with(config: PipelineConfig, setting: str, value: object) -> PipelineConfig:
    table = "rules" if hasattr(config.rules, setting) else "reader"
    return changed(config, {table: {setting: value}}, where="VALUE")


if __name__ == "__main__":
    main()
