"""`relik evaluate`: how well a bundle does on gold documents, with intervals, beside another."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from relik.commands.measure import Asked, Source, Subject, evaluate
from relik.errors import ConfigError
from relik.evaluation import GoldDocument
from relik.evaluation.analysis import (
    Analysis,
    Wanted,
    analyse_entities,
    analyse_retrieval,
    analyse_triples,
)
from relik.evaluation.bootstrap import Bootstrap
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
Compare = Annotated[
    str | None,
    typer.Option(help="Another bundle (B), measured too; --kb and --baseline are for A alone."),
]
Resamples = Annotated[int, typer.Option(min=1, help="For --compare: bootstrap resamples.")]
Seed = Annotated[int, typer.Option(min=0, help="For --compare: seed of the bootstrap.")]
Breakdown = Annotated[bool, typer.Option("--breakdown", help="Add figures by group.")]
Page = Annotated[
    Path | None, typer.Option("--report", help="Write a page of HTML with all of it and examples.")
]


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
    errors: Annotated[
        bool, typer.Option("--errors", help="Add why mentions were missed or wrong.")
    ] = False,
    breakdown: Breakdown = False,
    report: Page = None,
    compare: Compare = None,
    resamples: Resamples = 1000,
    seed: Seed = 0,
    backend: Backend = "auto",
) -> None:
    """Score linked mentions: exact span and id, micro-averaged.

    Both readings restrict gold to ids in the knowledge base. A prediction that overlaps another
    gold mention is neither right nor wrong in inkb, and wrong in with_nil.
    """

    def analyse(subject: Subject, gold: Sequence[GoldDocument]) -> Analysis:
        return analyse_entities(
            subject.measured,
            gold,
            known=subject.known,
            records=subject.pipeline.entities,
            options=subject.options,
            given_mentions=given_mentions,
            wanted=subject.wanted,
        )

    # A given mention is to be linked however unsure the model is, unless the caller says so.
    least = 0.0 if given_mentions and threshold is None else threshold
    source = Source(bundle=bundle, kb=kb, backend=backend, baseline=baseline)
    asked = Asked(
        title="Linking of given mentions" if given_mentions else "Entity linking",
        file=file,
        limit=limit,
        options=AnnotateOptions(relations=False, top_k=top_k, threshold=least),
        wanted=Wanted(errors=errors, breakdown=breakdown, sections=report is not None),
        compare=compare,
        bootstrap=Bootstrap(resamples=resamples, seed=seed),
        page=report,
        as_json=as_json,
    )
    evaluate(source, asked, analyse)


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
    breakdown: Breakdown = False,
    report: Page = None,
    compare: Compare = None,
    resamples: Resamples = 1000,
    seed: Seed = 0,
    backend: Backend = "auto",
) -> None:
    """Score triples: boundaries and relation, or with --entity-ids linked ids and relation."""
    if facts is not None and not baseline:
        raise ConfigError("got --triples without --baseline, which alone uses them: add it")

    def analyse(subject: Subject, gold: Sequence[GoldDocument]) -> Analysis:
        def name_of(relation_id: str) -> str:
            relation = subject.pipeline.relation(relation_id)
            return "" if relation is None else relation.name

        return analyse_triples(
            subject.measured,
            gold,
            name_of=name_of,
            options=subject.options,
            entity_ids=entity_ids,
            wanted=subject.wanted,
        )

    source = Source(bundle=bundle, kb=kb, backend=backend, baseline=baseline, facts=facts)
    asked = Asked(
        title="Triples by linked ids" if entity_ids else "Triples by boundaries",
        file=file,
        limit=limit,
        options=AnnotateOptions(
            top_k=top_k, threshold=threshold, relation_threshold=relation_threshold
        ),
        wanted=Wanted(breakdown=breakdown, sections=report is not None),
        compare=compare,
        bootstrap=Bootstrap(resamples=resamples, seed=seed),
        page=report,
        as_json=as_json,
    )
    evaluate(source, asked, analyse)


@app.command()
def retrieval(
    file: File,
    bundle: BundleName = "default",
    kb: Kb = None,
    as_json: AsJson = False,
    limit: Limit = None,
    top_k: Annotated[int, typer.Option(min=1, help="Candidates per window.")] = 100,
    baseline: Baseline = False,
    compare: Compare = None,
    resamples: Resamples = 1000,
    seed: Seed = 0,
    backend: Backend = "auto",
) -> None:
    """Score candidates: the share of (window, entity) pairs whose entity is proposed."""

    def analyse(subject: Subject, gold: Sequence[GoldDocument]) -> Analysis:
        return analyse_retrieval(
            subject.measured, gold, known=subject.known, options=subject.options
        )

    source = Source(bundle=bundle, kb=kb, backend=backend, baseline=baseline)
    asked = Asked(
        title="Retrieval",
        file=file,
        limit=limit,
        options=AnnotateOptions(top_k=top_k),
        wanted=Wanted(),
        compare=compare,
        bootstrap=Bootstrap(resamples=resamples, seed=seed),
        as_json=as_json,
    )
    evaluate(source, asked, analyse)
