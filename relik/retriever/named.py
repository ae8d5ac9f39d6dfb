"""Candidates for mentions that are given: what has their names comes before what is near.

A caller who gives mentions says that each is a name, so that rules which spare a window the many
records that its common words name do not apply.
"""

from collections.abc import Sequence
from dataclasses import replace

from relik.kb import KnowledgeBase
from relik.kb.inflections import stems
from relik.kb.names import PARTIAL, normalise
from relik.types import Candidate, Span, Window, WindowCandidates

PER_MENTION = 3


def with_named(
    found: WindowCandidates, window: Window, mentions: Sequence[Span], kb: KnowledgeBase
) -> WindowCandidates:
    """Put the likeliest bearers of given names among the candidates of a window.

    Args:
        found: Candidates of the window.
        window: The window.
        mentions: Its mentions, in code points of the document.
        kb: The knowledge base of the entities.

    Returns:
        As many candidates as there were, and more only where the names have more bearers than
        half of that: those that were missing replace the worst, behind those that stay.
    """
    first = window.span.start
    surfaces = [window.text[max(0, one.start - first) : one.end - first] for one in mentions]
    return replace(found, entities=_with_bearers(found.entities, surfaces, kb))


def _with_bearers(
    found: Sequence[Candidate], surfaces: Sequence[str], kb: KnowledgeBase
) -> tuple[Candidate, ...]:
    held = {candidate.entity_id for candidate in found}
    missing = dict.fromkeys(
        entity_id
        for surface in surfaces
        for entity_id in _bearers(surface, kb)
        if entity_id not in held
    )
    if not missing:
        return tuple(found)
    kept = list(found[: max(len(found) - len(missing), len(found) // 2)])
    worst = kept[-1].score if kept else 0.0
    added = [
        Candidate(entity_id=entity_id, score=worst, rank=0, source="given")
        for entity_id in sorted(missing)
    ]
    # Ties by id, as everywhere: the last that stay may have the same score.
    ranked = sorted([*kept, *added], key=lambda one: (-one.score, one.entity_id))
    return tuple(
        Candidate(entity_id=one.entity_id, score=one.score, rank=rank, source=one.source)
        for rank, one in enumerate(ranked)
    )


def _bearers(surface: str, kb: KnowledgeBase) -> list[str]:
    """Give the ids that a name means most often; of an inflected one those of its stem too."""
    key, found = normalise(surface), dict[int, None]()
    for name in (key, *stems(key)):
        ranked = sorted(
            kb.names.lookup(name),
            key=lambda one: (bool(one.flags & PARTIAL), -one.count, -kb.count(one.row), one.row),
        )
        found |= dict.fromkeys(one.row for one in ranked[:PER_MENTION])
        # A plural in lower case is seldom the name of a company.
        if ranked and (name != key or not surface.islower()):
            break
    return [kb.entity_id(row) for row in found]
