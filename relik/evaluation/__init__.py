"""How well a pipeline does: recall of candidates, linked entities, triples, on gold files."""

from relik.evaluation.analysis import (
    Analysis,
    Wanted,
    analyse_entities,
    analyse_retrieval,
    analyse_triples,
)
from relik.evaluation.answers import Annotator, Proposer
from relik.evaluation.baseline import AliasBaseline, read_triples
from relik.evaluation.compare import compare
from relik.evaluation.gold import GoldDocument, GoldMention, GoldTriple, read_gold
from relik.evaluation.metrics import Bootstrap
from relik.evaluation.relations import Relater, analyse_relations, with_candidates_only
from relik.evaluation.score import evaluate_entities, evaluate_retrieval, evaluate_triples
from relik.evaluation.strict import analyse_strict

__all__ = [
    "AliasBaseline",
    "Analysis",
    "Annotator",
    "Bootstrap",
    "GoldDocument",
    "GoldMention",
    "GoldTriple",
    "Proposer",
    "Relater",
    "Wanted",
    "analyse_entities",
    "analyse_relations",
    "analyse_retrieval",
    "analyse_strict",
    "analyse_triples",
    "compare",
    "evaluate_entities",
    "evaluate_retrieval",
    "evaluate_triples",
    "read_gold",
    "read_triples",
    "with_candidates_only",
]
