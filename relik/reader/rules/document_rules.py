"""The one place that calls the rules over the triples of a document."""

from relik.config import RulesConfig
from relik.names.resolve import Knowledge
from relik.reader.rules.adjectives import in_scope
from relik.reader.rules.functional import best_values
from relik.types import Annotation


def with_document_rules(
    annotation: Annotation, text: str, kb: Knowledge, config: RulesConfig
) -> Annotation:
    """Drop the triples that the rules refuse, given all of a document and its text."""
    config = config.for_language(kb.policy.language.code)
    if config.adjective_scope:
        annotation = in_scope(annotation, text, kb)
    return best_values(annotation, text, config.functional, config.inverse_functional)
