"""How well a pipeline does: recall of candidates, linked entities, triples, on gold files."""

from relik.evaluation.baseline import AliasBaseline, read_triples
from relik.evaluation.gold import GoldDocument, GoldMention, GoldTriple, read_gold
from relik.evaluation.score import (
    Annotator,
    Proposer,
    evaluate_entities,
    evaluate_retrieval,
    evaluate_triples,
)

__all__ = [
    "AliasBaseline",
    "Annotator",
    "GoldDocument",
    "GoldMention",
    "GoldTriple",
    "Proposer",
    "evaluate_entities",
    "evaluate_retrieval",
    "evaluate_triples",
    "read_gold",
    "read_triples",
]
