"""Opens bundles, measures one or two on gold documents, and reports what was found."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeAlias

from rich.console import Console

from relik import __version__
from relik.commands.report_tables import ABOUT, about, tables
from relik.config import PipelineConfig
from relik.errors import ConfigError, InputError
from relik.evaluation import (
    AliasBaseline,
    Annotator,
    GoldDocument,
    Proposer,
    read_gold,
    read_triples,
)
from relik.evaluation.analysis import Analysis, Wanted
from relik.evaluation.baseline import NamedEntities
from relik.evaluation.breakdown import Records
from relik.evaluation.compare import compare
from relik.evaluation.markup import page
from relik.evaluation.metrics import Bootstrap
from relik.evaluation.report import check_report_path, summary_section, write_report
from relik.evaluation.score import KnownIds
from relik.kb import KnowledgeBase
from relik.types import AnnotateOptions, Relation

_HEADLINES = ("inkb", "triples")
# As many as the baseline proposes for a window unless it is told.
_BASELINE_TOP_K = 100


class Entities(NamedEntities, Records, KnownIds, Protocol):
    """A knowledge base: its ids, names, records and counts."""


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


class Configured(Opened, Protocol):
    """What comparing and explaining need of a pipeline besides."""

    @property
    def config(self) -> PipelineConfig:
        """Its settings."""

    def relation(self, relation_id: str) -> Relation | None:
        """Return a relation, or None."""


Measure: TypeAlias = Callable[[Measurable, Entities, Sequence[GoldDocument]], dict[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where what is measured comes from.

    Args:
        bundle: Folder or name of the bundle.
        kb: Knowledge index in place of the bundle's own.
        backend: What runs the models.
        baseline: Measure the longest alias match over the knowledge base instead.
        facts: Known triples, for the baseline.
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
    """What is measured, opened.

    Args:
        pipeline: The pipeline of the bundle.
        measured: What answers: the pipeline or the baseline.
        known: Ids that are judged.
        options: Thresholds and candidates; those of the bundle spelled out where there is more
            to tell than figures.
        wanted: What is asked for beside figures.
    """

    pipeline: Configured
    measured: Measurable
    known: KnownIds
    options: AnnotateOptions
    wanted: Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found, and with what.

    Args:
        report: Figures, and what made them.
        analysis: All that was found.
        options: As in `Subject`.
    """

    report: dict[str, object]
    analysis: Analysis
    options: AnnotateOptions


Analyse: TypeAlias = Callable[[Subject, Sequence[GoldDocument]], Analysis]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be told.

    Args:
        title: Title of the page.
        file: Gold documents.
        limit: How many of them are read, or all.
        options: Thresholds and candidates.
        wanted: What is asked for beside figures.
        compare: Folder or name of a second bundle.
        bootstrap: How documents are drawn to compare two.
        page: Where a page is written.
        as_json: Print JSON.
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


def evaluate(source: Source, asked: Asked, analyse: Analyse) -> None:
    """Measure one bundle, or two on the same documents, and print and write what was found.

    Two are judged on the ids that both knowledge bases have.

    Args:
        source: What is measured.
        asked: What is to be told.
        analyse: What to count.

    Raises:
        InputError: The file cannot be read or has no documents.
        ConfigError: The page cannot be written, or options contradict each other.
        BundleError: A bundle cannot be used.
    """
    if source.dense_only and source.baseline:
        raise ConfigError("got --dense-only with --baseline, which has no encoder: leave one out")
    if asked.page is not None:
        check_report_path(asked.page)
    gold = read_gold(asked.file, limit=asked.limit, typed=asked.typed)
    if asked.compare is None:
        one = _measured(source, asked, analyse, gold)
        report, systems, comparison = one.report, {"": one}, None
    else:
        other = Source(bundle=asked.compare, backend=source.backend)
        shared = _known_to_both(gold, source, other)
        one = _measured(source, asked, analyse, gold, known=shared)
        # A page has the errors of A alone.
        rest = replace(asked, wanted=replace(asked.wanted, sections=False))
        systems = {"A": one, "B": _measured(other, rest, analyse, gold, known=shared)}
        report = comparison = _compared(systems["A"], systems["B"], asked.bootstrap)
    if asked.page is not None:
        reports = {name: each.report for name, each in systems.items()}
        sections = [summary_section(reports, comparison), *one.analysis.sections]
        write_report(asked.page, page(asked.title, _facts(asked, systems), sections))
    print_report(report, as_json=asked.as_json)


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


def _measured(
    source: Source,
    asked: Asked,
    analyse: Analyse,
    gold: Sequence[GoldDocument],
    *,
    known: KnownIds | None = None,
) -> Measured:
    """Open a bundle, measure it and let go of it."""
    pipeline: Configured = _open(source)
    options = asked.options
    if asked.wanted.anything:
        options = _explicit(options, pipeline.config, baseline=source.baseline)
    found: list[Analysis] = []

    def measure(
        measured: Measurable, entities: Entities, documents: Sequence[GoldDocument]
    ) -> dict[str, object]:
        subject = Subject(
            pipeline=pipeline,
            measured=measured,
            known=entities if known is None else known,
            options=options,
            wanted=asked.wanted,
        )
        found.append(analyse(subject, documents))
        return found[-1].figures

    report = run(
        pipeline,
        gold,
        measure,
        bundle=source.bundle,
        baseline=source.baseline,
        facts=source.facts,
    )
    return Measured(report=report, analysis=found[-1], options=options)


def _explicit(
    options: AnnotateOptions, config: PipelineConfig, *, baseline: bool
) -> AnnotateOptions:
    """Say what the settings of the bundle would decide. The baseline knows no threshold."""
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


def _chosen(asked: float | None, default: float) -> float:
    return default if asked is None else asked


def _open(source: Source) -> Configured:
    """Open a bundle; one without a reader can be measured by retrieval alone."""
    from relik.bundle import open_bundle

    bundle = open_bundle(source.bundle)
    if source.dense_only:
        dense = bundle.config.retriever.dense_only()
        bundle = replace(bundle, config=replace(bundle.config, retriever=dense))
    return bundle.pipeline(source.backend, entities=source.kb)


def _known_to_both(gold: Sequence[GoldDocument], *sources: Source) -> frozenset[str]:
    """Give the gold ids that every knowledge base has: the mentions that all are judged on."""
    from relik.bundle import open_bundle
    from relik.layout import LAYOUT

    ids = {m.entity_id for each in gold for m in each.mentions if m.entity_id is not None}
    for source in sources:
        folder = source.kb or open_bundle(source.bundle, verify=False).path / LAYOUT.entities
        entities = KnowledgeBase.open(folder)
        ids = {entity_id for entity_id in ids if entity_id in entities}
    return frozenset(ids)


def _compared(a: Measured, b: Measured, bootstrap: Bootstrap) -> dict[str, object]:
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


def _facts(asked: Asked, systems: Mapping[str, Measured]) -> list[tuple[str, str]]:
    """Tell what made a page."""
    facts = [("gold documents", asked.file.name), ("relik", __version__)]
    for name, each in systems.items():
        settings = ("top_k", "threshold", "relation_threshold")
        chosen = ((key, getattr(each.options, key)) for key in settings)
        told = [
            *((key, each.report[key]) for key in ABOUT),
            *((key, value) for key, value in chosen if value is not None),
        ]
        facts += [(f"{name} {key}".strip().replace("_", " "), str(value)) for key, value in told]
    return facts


def print_report(report: Mapping[str, object], *, as_json: bool) -> None:
    """Print what was found.

    Args:
        report: Figures, and what made them.
        as_json: Print one JSON object, not tables.
    """
    if as_json:
        sys.stdout.write(json.dumps(report) + "\n")
        return
    console = Console()
    for table in tables(report):
        console.print(table)
    for line in about(report):
        console.print(line, style="dim", markup=False)
