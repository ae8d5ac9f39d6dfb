"""Knowledge base: records, names and ids, memory-mapped."""

from relik.kb.knowledge_base import KnowledgeBase
from relik.kb.records import candidate_text, encoder_text
from relik.names.normalise import normalise, tokenise_surface
from relik.names.trie import NameMatch, NameTrie

__all__ = [
    "KnowledgeBase",
    "NameMatch",
    "NameTrie",
    "candidate_text",
    "encoder_text",
    "normalise",
    "tokenise_surface",
]
