"""How hard a window is to link: how little its names say of what they mean."""

from relik.kb import KnowledgeBase
from relik.kb.names import normalise
from relik_training.examples import Example, Mention


def difficulty(example: Example, kb: KnowledgeBase) -> float:
    """Tell how little the names in a window say of what they mean.

    Args:
        example: A window with its labels.
        kb: Its names, counted.

    Returns:
        Mean over linked and NIL mentions of the share of uses of the name that mean something
        else, 0..1; 0 for a window without such mentions.
    """
    doubts = [
        1.0 - _share(example.text[m.span.start : m.span.end], m, kb)
        for m in example.mentions
        if m.entity_id != ""
    ]
    return sum(doubts) / len(doubts) if doubts else 0.0


def _share(surface: str, mention: Mention, kb: KnowledgeBase) -> float:
    matches = kb.names.lookup(normalise(surface))
    # Each bearer, and nobody known, counts once more than it was seen.
    total = sum(match.count + 1 for match in matches) + 1
    if mention.entity_id is None:
        return 1 / total
    row = kb.row_of(mention.entity_id)
    return sum(match.count + 1 for match in matches if match.row == row) / total
