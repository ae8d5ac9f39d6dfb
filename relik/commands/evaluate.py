"""`relik evaluate`: figures of a bundle on gold documents, alone or compared with another bundle.

The commands are `entities`, `triples`, `relations` and `retrieval`.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from relik.commands.measure import Request, Source, Subject, evaluate, print_report
from relik.commands.shared_options import Backend, Pretokenised, RelationThreshold, Threshold, TopK
from relik.errors import ConfigError, InputError
from relik.evaluation import (
    GoldDocument,
    analyse_relations,
    read_gold,
    with_candidates_only,
)
from relik.evaluation.analysis import (
    Analysis,
    Wanted,
    analyse_entities,
    analyse_retrieval,
    analyse_triples,
)
from relik.evaluation.metrics import Bootstrap
from relik.evaluation.strict import analyse_strict
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
Limit = Annotated[int | None, typer.Option(min=1, help="Most documents to read.")]
Baseline = Annotated[
    bool, typer.Option("--baseline", help="Measure the longest alias match, without a model.")
]
DenseOnly = Annotated[
    bool,
    typer.Option("--dense-only", help="Rank candidates by the encoder alone, without aliases."),
]
Compare = Annotated[
    str | None,
    typer.Option(
        help="Bundle B to compare with; --kb, --baseline and --dense-only apply to A alone."
    ),
]
Resamples = Annotated[int, typer.Option(min=1, help="For --compare: bootstrap resamples.")]
Seed = Annotated[int, typer.Option(min=0, help="For --compare: seed of the bootstrap.")]
Breakdown = Annotated[bool, typer.Option("--breakdown", help="Add figures by group.")]
EntityIds = Annotated[
    bool, typer.Option("--entity-ids", help="Compare linked ids, not boundaries.")
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Compare spans and types of both ends; gold spans have types of a closed schema.",
    ),
]
Facts = Annotated[
    Path | None,
    typer.Option("--triples", help='For --baseline: known triples, lines of {"h", "r", "t"}.'),
]
Page = Annotated[
    Path | None, typer.Option("--report", help="Write an HTML report with all this and examples.")
]


def measure_relations(
    source: Source,
    gold: Sequence[GoldDocument],
    *,
    candidates: Sequence[str] = (),
    threshold: float = 0.0,
    wanted: Wanted | None = None,
) -> dict[str, object]:
    """Open a bundle and classify the pairs of gold documents.

    Args:
        source: The bundle, and the index of relations in place of its own.
        gold: Documents without a triple of a candidate are left out.
        candidates: Ids of the relations to choose from; empty for all of the index.
        threshold: Least score of an answer, 0..1.

    Returns:
        The figures, with `bundle`, `kb_version` of the relations, `model`, `documents`, `seconds`.

    Raises:
        InputError: No document has a triple of a candidate, or a candidate is not in the index.
        BundleError: The bundle cannot be used, or relations have no vectors.
    """
    # Imported late, so that `--help` does not wait for ONNX Runtime and Arrow.
    from relik.bundle import open_bundle

    bundle = open_bundle(source.bundle)
    relater = bundle.relater(source.backend, relations=source.kb)
    kb = relater.relations
    chosen = sorted(set(candidates)) or [kb.entity_id(row) for row in range(len(kb))]
    judged = with_candidates_only(gold, frozenset(chosen))
    if not judged:
        raise InputError(
            f"got {len(gold)} gold documents, none of them with a triple of the {len(chosen)} "
            "candidates, expected some: check the file and the candidates"
        )

    def name_of(relation_id: str) -> str:
        row = kb.row_of(relation_id)
        return "" if row is None else kb.record(row).name

    began = time.perf_counter()
    found = analyse_relations(
        relater, judged, candidates=chosen, threshold=threshold, name_of=name_of, wanted=wanted
    )
    return {
        **found.figures,
        "bundle": source.bundle,
        "kb_version": kb.version,
        "model": bundle.config.model,
        "documents": len(judged),
        "seconds": round(time.perf_counter() - began, 2),
    }


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
    dense_only: DenseOnly = False,
    errors: Annotated[
        bool, typer.Option("--errors", help="Add counts of why mentions were missed or wrong.")
    ] = False,
    breakdown: Breakdown = False,
    report: Page = None,
    compare: Compare = None,
    resamples: Resamples = 1000,
    seed: Seed = 0,
    backend: Backend = "auto",
) -> None:
    """Score linked mentions: exact span and id, micro-averaged.

    Both readings restrict gold to ids in the knowledge base. A prediction that overlaps any other
    gold mention is left out of inkb, and wrong in with_nil.
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

    # Given mentions are linked at any score, unless the caller sets a threshold.
    least = 0.0 if given_mentions and threshold is None else threshold
    source = Source(bundle=bundle, kb=kb, backend=backend, baseline=baseline, dense_only=dense_only)
    request = Request(
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
    evaluate(source, request, analyse)


@app.command()
def triples(
    file: File,
    bundle: BundleName = "default",
    kb: Kb = None,
    as_json: AsJson = False,
    limit: Limit = None,
    entity_ids: EntityIds = False,
    top_k: TopK = None,
    threshold: Threshold = None,
    relation_threshold: RelationThreshold = None,
    strict: Strict = False,
    pretokenised: Pretokenised = False,
    baseline: Baseline = False,
    facts: Facts = None,
    breakdown: Breakdown = False,
    report: Page = None,
    compare: Compare = None,
    resamples: Resamples = 1000,
    seed: Seed = 0,
    backend: Backend = "auto",
) -> None:
    """Score triples by spans and relation, or with --entity-ids by linked ids and relation.

    With --entity-ids, inkb restricts gold to triples whose ends are in the knowledge base, and
    marked also leaves out predictions with an end outside every gold mention.
    With --strict the types of both ends count too; boundaries scores triples without types, and
    entities scores typed mentions.
    """
    if facts is not None and not baseline:
        raise ConfigError("got --triples without --baseline, expected both: add --baseline")
    if strict and (entity_ids or baseline or report is not None):
        raise ConfigError(
            "got --strict with --entity-ids, --baseline or --report, expected it alone: "
            "leave out one of the two"
        )

    def analyse(subject: Subject, gold: Sequence[GoldDocument]) -> Analysis:
        return _analyse_triples(subject, gold, entity_ids=entity_ids, strict=strict)

    source = Source(bundle=bundle, kb=kb, backend=backend, baseline=baseline, facts=facts)
    request = Request(
        title="Triples by linked ids" if entity_ids else "Triples by boundaries",
        file=file,
        typed=strict,
        limit=limit,
        options=AnnotateOptions(
            top_k=top_k,
            threshold=threshold,
            relation_threshold=relation_threshold,
            pretokenised=pretokenised,
        ),
        wanted=Wanted(breakdown=breakdown, sections=report is not None),
        compare=compare,
        bootstrap=Bootstrap(resamples=resamples, seed=seed),
        page=report,
        as_json=as_json,
    )
    evaluate(source, request, analyse)


def _analyse_triples(
    subject: Subject, gold: Sequence[GoldDocument], *, entity_ids: bool, strict: bool
) -> Analysis:
    def name_of(relation_id: str) -> str:
        relation = subject.pipeline.relation(relation_id)
        return "" if relation is None else relation.name

    if strict:
        return analyse_strict(
            subject.measured,
            gold,
            options=subject.options,
            name_of=name_of,
            wanted=subject.wanted,
        )
    return analyse_triples(
        subject.measured,
        gold,
        name_of=name_of,
        options=subject.options,
        entity_ids=entity_ids,
        known=subject.known,
        wanted=subject.wanted,
    )


@app.command()
def relations(
    file: File,
    bundle: BundleName = "default",
    relation_kb: Annotated[
        Path | None, typer.Option(help="Knowledge index of relations in place of the bundle's own.")
    ] = None,
    candidates: Annotated[
        str, typer.Option(help="Candidate relations, such as P57,P175; empty for all.")
    ] = "",
    as_json: AsJson = False,
    limit: Limit = None,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Least score of an answer.")] = 0.0,
    breakdown: Breakdown = False,
    backend: Annotated[str, typer.Option(help="onnx or torch.")] = "onnx",
) -> None:
    """Score zero-shot relation classification of the gold pairs of mentions by the encoder.

    Each ordered pair with one of the candidates in gold gets its best candidate; documents without
    such a pair are left out. With --threshold 0 all three figures equal the accuracy.
    """
    print_report(
        measure_relations(
            Source(bundle=bundle, kb=relation_kb, backend=backend),
            read_gold(file, limit=limit),
            candidates=candidates.replace(",", " ").split(),
            threshold=threshold,
            wanted=Wanted(breakdown=breakdown),
        ),
        as_json=as_json,
    )


@app.command()
def retrieval(
    file: File,
    bundle: BundleName = "default",
    kb: Kb = None,
    as_json: AsJson = False,
    limit: Limit = None,
    top_k: Annotated[int, typer.Option(min=1, help="Candidates per window.")] = 100,
    baseline: Baseline = False,
    dense_only: DenseOnly = False,
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

    source = Source(bundle=bundle, kb=kb, backend=backend, baseline=baseline, dense_only=dense_only)
    request = Request(
        title="Retrieval",
        file=file,
        limit=limit,
        options=AnnotateOptions(top_k=top_k),
        wanted=Wanted(),
        compare=compare,
        bootstrap=Bootstrap(resamples=resamples, seed=seed),
        as_json=as_json,
    )
    evaluate(source, request, analyse)
