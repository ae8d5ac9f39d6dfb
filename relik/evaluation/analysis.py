"""A whole evaluation: figures, and on request errors, figures by group and report sections."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from relik.evaluation.answers import (
    Annotator,
    Answer,
    Proposer,
    answer_entities,
    answer_triples,
    propose,
)
from relik.evaluation.breakdown import (
    Records,
    by_frequency,
    by_relation,
    by_type,
    counts_of,
    triple_facts,
)
from relik.evaluation.compare import Ratios, accuracy_ratios, match_ratios, recall_ratios
from relik.evaluation.counts import (
    entity_counts,
    known_triple_counts,
    linking_counts,
    retrieval_ranks,
)
from relik.evaluation.examples import NameOf, entity_examples, triple_examples
from relik.evaluation.gold import GoldDocument
from relik.evaluation.metrics import Counts, accuracy, precision_recall_f1, recall_at
from relik.evaluation.report import (
    breakdown_section,
    errors_section,
    examples_section,
    scored_mentions,
    scored_triples,
    scores_section,
)
from relik.evaluation.taxonomy import (
    GOLD_VERDICTS,
    PREDICTION_VERDICTS,
    JudgedDocument,
    judge,
    taxonomy,
)
from relik.types import AnnotateOptions

CUTOFFS = (1, 5, 10, 20, 30, 50, 100)


class Analysable(Annotator, Proposer, Protocol):
    """A system that links mentions and proposes candidates, such as a pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to compute besides figures.

    Args:
        errors: Counts of verdicts.
        breakdown: Figures by group.
        sections: Sections of the HTML report, which include both and examples.
    """

    errors: bool = False
    breakdown: bool = False
    sections: bool = False

    @property
    def anything(self) -> bool:
        """Tell whether it asks for anything."""
        return self.errors or self.breakdown or self.sections


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The results of an evaluation.

    Args:
        figures: JSON types only: the result of `evaluate_entities`, `evaluate_triples` or
            `evaluate_retrieval`, with `errors` and `breakdown` on request.
        ratios: Input of `compare`, by name of the reading.
        sections: HTML, on request.
    """

    figures: dict[str, object]
    ratios: Mapping[str, Ratios]
    sections: tuple[str, ...] = field(default=())


def analyse_entities(
    measured: Analysable,
    gold: Sequence[GoldDocument],
    *,
    known: Container[str],
    records: Records,
    options: AnnotateOptions,
    given_mentions: bool = False,
    wanted: Wanted = Wanted(),
) -> Analysis:
    """Score linked mentions and classify the errors.

    Args:
        options: Candidates and threshold. Only with a threshold is there the verdict
            `below_threshold`.

    Returns:
        `inkb` and `with_nil`; `errors`, the result of `taxonomy`, with `top_k` and `threshold`;
        `breakdown` by `types` and `frequency`.
    """
    answers = answer_entities(
        measured,
        gold,
        options=options,
        threshold=options.threshold if wanted.anything and not given_mentions else None,
        given_mentions=given_mentions,
    )
    rate = accuracy if given_mentions else precision_recall_f1
    ratios = accuracy_ratios if given_mentions else match_ratios
    readings = entity_readings(answers, known, given_mentions=given_mentions)
    figures: dict[str, object] = {name: rate(counts) for name, counts in readings.items()}
    sections: tuple[str, ...] = ()
    if wanted.anything:
        proposed = propose(measured, gold, options=options)
        judged = [judge(*pair, known=known) for pair in zip(answers, proposed, strict=True)]
        parts, sections = _error_analysis(judged, records, wanted, options)
        figures |= parts
    return Analysis(
        figures=figures,
        ratios={name: ratios(counts) for name, counts in readings.items()},
        sections=sections,
    )


def entity_readings(
    answers: Sequence[Answer], known: Container[str], *, given_mentions: bool
) -> dict[str, list[Counts]]:
    """Count linked mentions in the readings `inkb` and `with_nil`."""
    count = linking_counts if given_mentions else entity_counts
    counted = [count(each.gold, each.annotation, known) for each in answers]
    return {"inkb": [one for one, _ in counted], "with_nil": [both for _, both in counted]}


def analyse_triples(
    measured: Annotator,
    gold: Sequence[GoldDocument],
    *,
    name_of: NameOf = lambda _: "",
    options: AnnotateOptions,
    entity_ids: bool = False,
    known: Container[str] | None = None,
    wanted: Wanted = Wanted(),
) -> Analysis:
    """Score triples and rate each relation; triples have no `errors`.

    Returns:
        As of `evaluate_triples`; `breakdown` by `relations`, each with its `name` or None.
    """
    answers = answer_triples(measured, gold, options=options, entity_ids=entity_ids)
    readings = {"triples": counts_of(triple_facts(answers, entity_ids=entity_ids))}
    if entity_ids and known is not None:
        counted = [known_triple_counts(each.gold, each.annotation, known) for each in answers]
        readings |= {
            "inkb": [of_known for of_known, _ in counted],
            "marked": [of_marked for _, of_marked in counted],
        }
    figures: dict[str, object] = {
        name: precision_recall_f1(counts) for name, counts in readings.items()
    }
    sections: tuple[str, ...] = ()
    if wanted.breakdown or wanted.sections:
        rated = by_relation(answers, entity_ids=entity_ids)
        named = {key: {"name": name_of(key) or None, **each} for key, each in rated.items()}
        if wanted.breakdown:
            figures["breakdown"] = {"relations": named}
        if wanted.sections:
            sections = (
                breakdown_section({"By relation": named}),
                scores_section(scored_triples(answers, entity_ids=entity_ids), threshold=None),
                examples_section(triple_examples(answers, name_of, entity_ids=entity_ids)),
            )
    return Analysis(
        figures=figures,
        ratios={name: match_ratios(counts) for name, counts in readings.items()},
        sections=sections,
    )


def analyse_retrieval(
    proposer: Proposer,
    gold: Sequence[GoldDocument],
    *,
    known: Container[str],
    options: AnnotateOptions,
) -> Analysis:
    """Score candidates."""
    deepest = options.top_k or max(CUTOFFS)
    cutoffs = [cutoff for cutoff in CUTOFFS if cutoff <= deepest] or [deepest]
    options = replace(options, top_k=deepest)
    hits: list[list[int]] = []
    totals: list[int] = []
    for each, found in zip(gold, propose(proposer, gold, options=options), strict=True):
        ranks, total = retrieval_ranks(each, found.windows, found.candidates, known)
        hits.append([sum(rank < cutoff for rank in ranks) for cutoff in cutoffs])
        totals.append(total)
    return Analysis(
        figures=recall_at(hits, totals, cutoffs=cutoffs),
        ratios={"recall_at": recall_ratios(hits, totals, cutoffs=cutoffs)},
    )


def _error_analysis(
    judged: Sequence[JudgedDocument], records: Records, wanted: Wanted, options: AnnotateOptions
) -> tuple[dict[str, object], tuple[str, ...]]:
    def name_of(entity_id: str) -> str:
        row = records.row_of(entity_id)
        return "" if row is None else records.record(row).name

    errors = taxonomy(judged)
    types, frequency = by_type(judged, records), by_frequency(judged, records)
    parts: dict[str, object] = {}
    if wanted.errors:
        parts["errors"] = {"top_k": options.top_k, "threshold": options.threshold, **errors}
    if wanted.breakdown:
        parts["breakdown"] = {"types": types, "frequency": frequency}
    if not wanted.sections:
        return parts, ()
    meanings = {"gold": GOLD_VERDICTS, "predictions": PREDICTION_VERDICTS}
    groups = {"By type of entity": types, "By links to the entity in the training text": frequency}
    return parts, (
        errors_section(errors, meanings),
        breakdown_section(groups),
        scores_section(scored_mentions(judged), threshold=options.threshold or None),
        examples_section(entity_examples(judged, name_of)),
    )
