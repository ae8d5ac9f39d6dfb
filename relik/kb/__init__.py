"""Knowledge base: records, names and ids, memory-mapped."""

from relik.kb.knowledge_base import KnowledgeBase
from relik.kb.names import NameMatch, NameTrie, normalise, tokenise_surface
from relik.kb.texts import candidate_text, encoder_text

__all__ = [
    "KnowledgeBase",
    "NameMatch",
    "NameTrie",
    "candidate_text",
    "encoder_text",
    "normalise",
    "tokenise_surface",
]
