"""Evaluation of one or two bundles on gold documents, and its report on terminal and page."""

import json
import sys
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from rich.console import Console

from relik import __version__
from relik.commands.report_tables import ABOUT, about, tables
from relik.config import PipelineConfig
from relik.errors import ConfigError, InputError
from relik.evaluation import (
    AliasBaseline,
    GoldDocument,
    read_gold,
    read_triples,
)
from relik.evaluation.analysis import Analysable, Analysis, Wanted
from relik.evaluation.compare import compare
from relik.evaluation.markup import page
from relik.evaluation.metrics import Bootstrap
from relik.evaluation.report import check_report_path, summary_section, write_report
from relik.kb import KnowledgeBase
from relik.types import AnnotateOptions

if TYPE_CHECKING:
    from relik.pipeline import Pipeline

_HEADLINES = ("inkb", "triples")
# Candidates per window that the baseline proposes by default.
_BASELINE_TOP_K = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The system to evaluate.

    Args:
        bundle: Folder or name of the bundle.
        kb: Knowledge index of entities in place of the bundle's own.
        baseline: Use the longest alias match over the knowledge base in place of the pipeline.
        facts: File of known triples, for the baseline.
        dense_only: Rank candidates by the encoder alone.
    """

    bundle: str
    kb: Path | None = None
    backend: str = "auto"
    baseline: bool = False
    facts: Path | None = None
    dense_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The open system to evaluate.

    Args:
        measured: The pipeline, or the baseline over its knowledge base.
        known: Ids that are judged.
        options: Thresholds and candidates; with the defaults of the bundle filled in where more
            than figures is wanted.
    """

    pipeline: "Pipeline"
    measured: Analysable
    known: Container[str]
    options: AnnotateOptions
    wanted: Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The results of one system.

    Args:
        report: Figures, and the bundle, model and settings they belong to.
        options: As in `Subject`.
    """

    report: dict[str, object]
    analysis: Analysis
    options: AnnotateOptions


Analyse: TypeAlias = Callable[[Subject, Sequence[GoldDocument]], Analysis]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to evaluate on, and how to report it.

    Args:
        title: Title of the page.
        file: Gold documents.
        limit: Most documents to read, or None for all.
        compare: Folder or name of a second bundle.
        page: Path of the HTML page, if any.
        typed: Gold spans have types in place of ids.
    """

    title: str
    file: Path
    limit: int | None
    options: AnnotateOptions
    wanted: Wanted
    compare: str | None
    bootstrap: Bootstrap
    page: Path | None = None
    as_json: bool
    typed: bool = False


def evaluate(source: Source, request: Request, analyse: Analyse) -> None:
    """Evaluate one bundle, or two on the same documents, and report the results.

    Two bundles are judged on the ids that both knowledge bases have.

    Raises:
        InputError: The file cannot be read or has no documents.
        ConfigError: The page cannot be written, or options contradict each other.
        BundleError: A bundle cannot be used.
    """
    if source.dense_only and source.baseline:
        raise ConfigError(
            "got --dense-only with --baseline, expected one of them, since the baseline has no "
            "encoder: leave one out"
        )
    if request.page is not None:
        check_report_path(request.page)
    gold = read_gold(request.file, limit=request.limit, typed=request.typed)

    def measure(
        source: Source, wanted: Wanted = request.wanted, known: Container[str] | None = None
    ) -> Result:
        settings = request.options
        return run(
            _open(source), gold, analyse, source, options=settings, wanted=wanted, known=known
        )

    if request.compare is None:
        one = measure(source)
        report, systems, comparison = one.report, {"": one}, None
    else:
        other = Source(bundle=request.compare, backend=source.backend)
        shared = _known_to_both(gold, source, other)
        one = measure(source, known=shared)
        # The page shows the errors of A only.
        rest = replace(request.wanted, sections=False)
        systems = {"A": one, "B": measure(other, rest, known=shared)}
        report = comparison = _compare_results(systems["A"], systems["B"], request.bootstrap)
    if request.page is not None:
        reports = {name: each.report for name, each in systems.items()}
        sections = [summary_section(reports, comparison), *one.analysis.sections]
        write_report(request.page, page(request.title, _page_facts(request, systems), sections))
    print_report(report, as_json=request.as_json)


def run(
    pipeline: "Pipeline",
    gold: Sequence[GoldDocument],
    analyse: Analyse,
    source: Source,
    *,
    options: AnnotateOptions,
    wanted: Wanted,
    known: Container[str] | None = None,
) -> Result:
    """Evaluate a pipeline, or the baseline over its knowledge base.

    Args:
        known: Ids that are judged; None for those of the knowledge base.

    Returns:
        The figures, with `bundle`, `kb_version`, `model`, `documents`, `seconds`.

    Raises:
        InputError: There are no documents.
    """
    if not gold:
        raise InputError("got no gold documents, expected at least one line: check the file")
    if wanted.anything:
        options = _with_defaults(options, pipeline.config, baseline=source.baseline)
    measured: Analysable = pipeline
    if source.baseline:
        facts = None if source.facts is None else read_triples(source.facts)
        measured = AliasBaseline(pipeline.entities, facts=facts, split_document=pipeline.split)
    subject = Subject(
        pipeline=pipeline,
        measured=measured,
        known=pipeline.entities if known is None else known,
        options=options,
        wanted=wanted,
    )
    began = time.perf_counter()
    analysis = analyse(subject, gold)
    report = {
        **analysis.figures,
        "bundle": source.bundle,
        "kb_version": pipeline.kb_version,
        "model": "longest alias match" if source.baseline else pipeline.model,
        "documents": len(gold),
        "seconds": round(time.perf_counter() - began, 2),
    }
    return Result(report=report, analysis=analysis, options=options)


def print_report(report: Mapping[str, object], *, as_json: bool) -> None:
    """Print a report as JSON or as tables."""
    if as_json:
        sys.stdout.write(json.dumps(report) + "\n")
        return
    console = Console()
    for table in tables(report):
        console.print(table)
    for line in about(report):
        console.print(line, style="dim", markup=False)


def _with_defaults(
    options: AnnotateOptions, config: PipelineConfig, *, baseline: bool
) -> AnnotateOptions:
    """Fill in the settings of the bundle. The baseline has no threshold."""
    if baseline:
        return replace(options, threshold=0.0, top_k=options.top_k or _BASELINE_TOP_K)
    reader = config.reader
    return replace(
        options,
        threshold=_chosen(options.threshold, reader.threshold),
        relation_threshold=_chosen(options.relation_threshold, reader.relation_threshold)
        if options.relations
        else None,
        top_k=options.top_k or config.retriever.entity_top_k,
    )


def _chosen(request: float | None, default: float) -> float:
    return default if request is None else request


def _open(source: Source) -> "Pipeline":
    """Open a bundle; one without a reader can be measured by retrieval alone."""
    from relik.bundle import open_bundle

    bundle = open_bundle(source.bundle)
    if source.dense_only:
        dense = bundle.config.retriever.dense_only()
        bundle = replace(bundle, config=replace(bundle.config, retriever=dense))
    return bundle.pipeline(source.backend, entities=source.kb)


def _known_to_both(gold: Sequence[GoldDocument], *sources: Source) -> frozenset[str]:
    """Return the gold ids that every knowledge base has, on which all systems are judged."""
    from relik.bundle import open_bundle
    from relik.layout import LAYOUT

    ids = {m.entity_id for each in gold for m in each.mentions if m.entity_id is not None}
    for source in sources:
        folder = source.kb or open_bundle(source.bundle, verify=False).path / LAYOUT.entities
        entities = KnowledgeBase.open(folder)
        ids = {entity_id for entity_id in ids if entity_id in entities}
    return frozenset(ids)


def _compare_results(a: Result, b: Result, bootstrap: Bootstrap) -> dict[str, object]:
    difference: dict[str, object] = {}
    for name, ratios in a.analysis.ratios.items():
        found = compare(ratios, b.analysis.ratios[name], bootstrap=bootstrap)
        difference |= found if name in _HEADLINES else {name: found}
    return {
        "a": a.report,
        "b": b.report,
        "difference": difference,
        "resamples": bootstrap.resamples,
        "seed": bootstrap.seed,
    }


def _page_facts(request: Request, systems: Mapping[str, Result]) -> list[tuple[str, str]]:
    """Return names and values of the models, documents and settings of a page."""
    facts = [("gold documents", request.file.name), ("relik", __version__)]
    for name, each in systems.items():
        settings = ("top_k", "threshold", "relation_threshold")
        chosen = ((key, getattr(each.options, key)) for key in settings)
        lines = [
            *((key, each.report[key]) for key in ABOUT),
            *((key, value) for key, value in chosen if value is not None),
        ]
        facts += [(f"{name} {key}".strip().replace("_", " "), str(value)) for key, value in lines]
    return facts
