"""Evaluation of entities, triples and retrieval over gold documents."""

from collections.abc import Container, Sequence

from relik.evaluation.analysis import analyse_retrieval, analyse_triples, entity_readings
from relik.evaluation.answers import Annotator, Proposer, answer_entities
from relik.evaluation.gold import GoldDocument
from relik.evaluation.metrics import accuracy, precision_recall_f1
from relik.types import AnnotateOptions


def evaluate_entities(
    annotator: Annotator,
    gold: Sequence[GoldDocument],
    *,
    known: Container[str],
    options: AnnotateOptions,
    given_mentions: bool = False,
) -> dict[str, object]:
    """Score linked mentions by strong matching: exact span and id.

    Gold is restricted to ids in the knowledge base. Predictions that overlap any other gold
    mention are left out of `inkb`, and wrong in `with_nil`. With given mentions both readings are
    an accuracy: over mentions with an id in the knowledge base, and over all mentions, where one
    without such an id should be NIL.

    Args:
        given_mentions: Give the gold spans and judge only the linking.

    Returns:
        `inkb` and `with_nil`, each in the form of `precision_recall_f1`.
    """
    answers = answer_entities(annotator, gold, options=options, given_mentions=given_mentions)
    readings = entity_readings(answers, known, given_mentions=given_mentions)
    rate = accuracy if given_mentions else precision_recall_f1
    return {name: rate(counts) for name, counts in readings.items()}


def evaluate_triples(
    annotator: Annotator,
    gold: Sequence[GoldDocument],
    *,
    options: AnnotateOptions,
    entity_ids: bool = False,
    known: Container[str] | None = None,
) -> dict[str, object]:
    """Score triples as a set per document.

    Args:
        entity_ids: Compare (subject id, relation, object id), over gold triples whose ends both
            have ids, instead of (subject span, relation, object span).
        known: The knowledge base. With it and `entity_ids` there are two more readings, on the
            gold triples whose ids it has.

    Returns:
        `triples`; with `known` also `inkb` and `marked`, the two counts of `known_triple_counts`;
        each in the form of `precision_recall_f1`.
    """
    return analyse_triples(
        annotator, gold, options=options, entity_ids=entity_ids, known=known
    ).figures


def evaluate_retrieval(
    proposer: Proposer,
    gold: Sequence[GoldDocument],
    *,
    known: Container[str],
    options: AnnotateOptions,
) -> dict[str, object]:
    """Score candidates: the share of (window, entity) pairs whose entity is proposed.

    The entities of a window are those of the gold mentions that it contains. A mention that no
    window contains counts as one missed pair.

    Args:
        options: `top_k` bounds the candidates; 100 where it is None.

    Returns:
        `recall_at` by cutoff, with `ci95` and `counts`, in the form of `metrics.recall_at`.
    """
    return analyse_retrieval(proposer, gold, known=known, options=options).figures
