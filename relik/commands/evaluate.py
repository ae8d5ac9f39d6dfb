"""`relik evaluate`: how well a bundle does on gold documents, with intervals, beside a baseline."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Protocol, TypeAlias, cast

import typer
from rich.console import Console
from rich.table import Table

from relik.errors import ConfigError, InputError
from relik.evaluation import (
    AliasBaseline,
    Annotator,
    GoldDocument,
    Proposer,
    evaluate_entities,
    evaluate_retrieval,
    evaluate_triples,
    read_gold,
    read_triples,
)
from relik.evaluation.baseline import NamedEntities
from relik.evaluation.score import KnownIds
from relik.types import AnnotateOptions

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Measure a bundle on a file of gold documents.",
)

File = Annotated[Path, typer.Argument(help="Gold documents, JSON Lines, .gz or plain.")]
BundleName = Annotated[str, typer.Option("--bundle", help="Folder or name of the bundle.")]
Kb = Annotated[
    Path | None, typer.Option(help="Knowledge index of entities in place of the bundle's own.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Read only so many documents.")]
TopK = Annotated[int | None, typer.Option(min=1, help="Entity candidates per window.")]
Threshold = Annotated[float | None, typer.Option(min=0, max=1, help="Least score of an entity.")]
Baseline = Annotated[
    bool, typer.Option("--baseline", help="Measure the longest alias match, without a model.")
]
Backend = Annotated[str, typer.Option(help="auto, onnx or torch.")]


class Entities(NamedEntities, KnownIds, Protocol):
    """A knowledge base: its ids, names and counts."""


class Measurable(Annotator, Proposer, Protocol):
    """What is measured."""


class Opened(Measurable, Protocol):
    """What the commands need of a pipeline."""

    @property
    def entities(self) -> Entities:
        """The knowledge base."""

    @property
    def kb_version(self) -> str:
        """Its version."""

    @property
    def model(self) -> str:
        """The name of the model."""


Measure: TypeAlias = Callable[[Measurable, Entities, Sequence[GoldDocument]], dict[str, object]]


@app.command()
def entities(
    file: File,
    bundle: BundleName = "default",
    kb: Kb = None,
    as_json: AsJson = False,
    limit: Limit = None,
    given_mentions: Annotated[
        bool, typer.Option("--given-mentions", help="Give the gold mentions; judge the linking.")
    ] = False,
    top_k: TopK = None,
    threshold: Threshold = None,
    baseline: Baseline = False,
    backend: Backend = "auto",
) -> None:
    """Score linked mentions: exact span and id, micro-averaged.

    Both readings restrict gold to ids in the knowledge base. A prediction that overlaps another
    gold mention is neither right nor wrong in inkb, and wrong in with_nil.
    """
    options = AnnotateOptions(top_k=top_k, threshold=threshold)

    def measure(
        measured: Measurable, known: Entities, gold: Sequence[GoldDocument]
    ) -> dict[str, object]:
        return evaluate_entities(
            measured, gold, known=known, options=options, given_mentions=given_mentions
        )

    gold = read_gold(file, limit=limit)
    opened = _open(bundle, kb, backend)
    _print(run(opened, gold, measure, bundle=bundle, baseline=baseline), as_json=as_json)


@app.command()
def triples(
    file: File,
    bundle: BundleName = "default",
    kb: Kb = None,
    as_json: AsJson = False,
    limit: Limit = None,
    entity_ids: Annotated[
        bool, typer.Option("--entity-ids", help="Compare linked ids, not boundaries.")
    ] = False,
    top_k: TopK = None,
    threshold: Threshold = None,
    relation_threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of a triple.")
    ] = None,
    baseline: Baseline = False,
    facts: Annotated[
        Path | None,
        typer.Option("--triples", help='For --baseline: known facts, lines of {"h", "r", "t"}.'),
    ] = None,
    backend: Backend = "auto",
) -> None:
    """Score triples: boundaries and relation, or with --entity-ids linked ids and relation."""
    if facts is not None and not baseline:
        raise ConfigError("got --triples without --baseline, which alone uses them: add it")
    options = AnnotateOptions(
        top_k=top_k, threshold=threshold, relation_threshold=relation_threshold
    )

    def measure(
        measured: Measurable, known: Entities, gold: Sequence[GoldDocument]
    ) -> dict[str, object]:
        return evaluate_triples(measured, gold, options=options, entity_ids=entity_ids)

    gold = read_gold(file, limit=limit)
    opened = _open(bundle, kb, backend)
    report = run(opened, gold, measure, bundle=bundle, baseline=baseline, facts=facts)
    _print(report, as_json=as_json)


@app.command()
def retrieval(
    file: File,
    bundle: BundleName = "default",
    kb: Kb = None,
    as_json: AsJson = False,
    limit: Limit = None,
    top_k: Annotated[int, typer.Option(min=1, help="Candidates per window.")] = 100,
    baseline: Baseline = False,
    backend: Backend = "auto",
) -> None:
    """Score candidates: the share of (window, entity) pairs whose entity is proposed."""
    options = AnnotateOptions(top_k=top_k)

    def measure(
        measured: Measurable, known: Entities, gold: Sequence[GoldDocument]
    ) -> dict[str, object]:
        return evaluate_retrieval(measured, gold, known=known, options=options)

    gold = read_gold(file, limit=limit)
    opened = _open(bundle, kb, backend)
    _print(run(opened, gold, measure, bundle=bundle, baseline=baseline), as_json=as_json)


def run(
    opened: Opened,
    gold: Sequence[GoldDocument],
    measure: Measure,
    *,
    bundle: str,
    baseline: bool = False,
    facts: Path | None = None,
) -> dict[str, object]:
    """Measure a pipeline, or the baseline over its knowledge base.

    Args:
        opened: The pipeline.
        gold: Gold documents, at least one.
        measure: What to count.
        bundle: The name that the report gives to the bundle.
        baseline: Measure the longest alias match instead of the pipeline.
        facts: Known triples, for the baseline.

    Returns:
        The figures, and what made them: `bundle`, `kb_version`, `model`, `documents`, `seconds`.

    Raises:
        InputError: There are no documents.
    """
    if not gold:
        raise InputError("got no gold documents, expected at least one line: check the file")
    measured: Measurable = opened
    if baseline:
        known_facts = None if facts is None else read_triples(facts)
        measured = AliasBaseline(opened.entities, facts=known_facts, split_document=opened.split)
    began = time.perf_counter()
    figures = measure(measured, opened.entities, gold)
    return {
        **figures,
        "bundle": bundle,
        "kb_version": opened.kb_version,
        "model": "longest alias match" if baseline else opened.model,
        "documents": len(gold),
        "seconds": round(time.perf_counter() - began, 2),
    }


def _open(bundle: str, kb: Path | None, backend: str) -> Opened:
    from relik.bundle import open_bundle

    opened: Opened = open_bundle(bundle).pipeline(backend, entities=kb)
    return opened


def _print(report: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(report) + "\n")
        return
    console = Console()
    console.print(_table(report))
    about = ("bundle", "model", "kb_version", "documents", "seconds")
    console.print(", ".join(f"{key} {report[key]}" for key in about), style="dim", markup=False)


def _table(report: Mapping[str, object]) -> Table:
    recall = report.get("recall_at")
    if isinstance(recall, dict):
        table = Table("Candidates", "Recall", "95 %", box=None)
        intervals = cast(Mapping[str, Sequence[float]], report["ci95"])
        for cutoff, share in recall.items():
            table.add_row(cutoff, f"{share:.3f}", _interval(intervals[cutoff]))
        return table
    table = Table("", "Precision", "Recall", "F1", "95 %", box=None)
    for name in ("inkb", "with_nil", "triples"):
        rated = report.get(name)
        if isinstance(rated, dict):
            figures = [f"{rated[key]:.3f}" for key in ("precision", "recall", "f1")]
            table.add_row(name, *figures, _interval(rated["ci95"]))
    return table


def _interval(bounds: Sequence[float]) -> str:
    return f"{bounds[0]:.3f}-{bounds[1]:.3f}"
