"""Strict evaluation of typed mentions and their relations, for closed schemas.

A triple is right where its relation and the spans and types of both its mentions are those of
gold. Source: the strict setting of Bekoulis et al. (2018), "Joint entity recognition and relation
extraction as a multi-head selection problem", section 4.1, with the sets and averages of SpERT
(Eberts and Ulges 2020, section 4).
"""

from collections.abc import Sequence
from typing import TypeAlias

from relik.evaluation.analysis import Analysis, Wanted
from relik.evaluation.answers import Annotator, Answer, answer_triples
from relik.evaluation.breakdown import Facts, by_group, counts_of, relation_of, triple_facts
from relik.evaluation.compare import match_ratios
from relik.evaluation.examples import NameOf
from relik.evaluation.gold import GoldDocument
from relik.evaluation.metrics import precision_recall_f1
from relik.types import AnnotateOptions, Span

TypedMention: TypeAlias = tuple[Span, str | None]
TypedTriple: TypeAlias = tuple[TypedMention, str, TypedMention]


def analyse_strict(
    annotator: Annotator,
    gold: Sequence[GoldDocument],
    *,
    options: AnnotateOptions,
    name_of: NameOf = lambda _: "",
    wanted: Wanted | None = None,
) -> Analysis:
    """Score typed mentions, and triples with and without the types of their ends.

    Returns:
        `triples` (strict), `boundaries` (triples without types) and `entities`, each as of
        `precision_recall_f1`, with `macro_f1`: the mean F1 over the relations or types in gold.
        On request `breakdown` by `relations` and `types`.
    """
    answers = answer_triples(annotator, gold, options=options)
    triples: Facts[TypedTriple] = [(_gold_triples(a), _found_triples(a)) for a in answers]
    bounds = triple_facts(answers, entity_ids=False)
    entities: Facts[TypedMention] = [(_gold_mentions(a), _found_mentions(a)) for a in answers]
    relations, types = by_group(triples, relation_of), by_group(entities, _type_of)
    readings = {
        "triples": (counts_of(triples), relations),
        "boundaries": (counts_of(bounds), by_group(bounds, relation_of)),
        "entities": (counts_of(entities), types),
    }
    figures: dict[str, object] = {
        name: {**precision_recall_f1(counts), "macro_f1": macro_f1(groups)}
        for name, (counts, groups) in readings.items()
    }
    if wanted is not None and wanted.breakdown:
        named = {key: {"name": name_of(key) or None, **each} for key, each in relations.items()}
        figures["breakdown"] = {"relations": named, "types": types}
    ratios = {name: match_ratios(counts) for name, (counts, _) in readings.items()}
    return Analysis(figures=figures, ratios=ratios)


def _gold_mentions(answer: Answer) -> set[TypedMention]:
    return {(m.span, m.entity_id) for m in answer.gold.mentions}


def _found_mentions(answer: Answer) -> set[TypedMention]:
    found = answer.annotation.spans
    return {(each.span, each.entity_id) for each in found if each.entity_id is not None}


def _gold_triples(answer: Answer) -> set[TypedTriple]:
    return {
        (
            (triple.subject.span, triple.subject.entity_id),
            triple.relation_id,
            (triple.object.span, triple.object.entity_id),
        )
        for triple in answer.gold.triples
    }


def _found_triples(answer: Answer) -> set[TypedTriple]:
    type_of = {found.span: found.entity_id for found in answer.annotation.spans}
    return {
        (
            (triple.subject, type_of[triple.subject]),
            triple.relation_id,
            (triple.object, type_of[triple.object]),
        )
        for triple in answer.annotation.triples
    }


def _type_of(mention: TypedMention) -> tuple[str]:
    return (mention[1] or "",)


def macro_f1(groups: dict[str, dict[str, float]]) -> float:
    """Return the mean F1, 0..1, over the groups in gold."""
    scores = [figures["f1"] for figures in groups.values() if figures["support"]]
    return round(sum(scores) / len(scores), 4) if scores else 0.0
