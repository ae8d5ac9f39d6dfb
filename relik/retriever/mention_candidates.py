"""Candidates for mentions that are given: what has their names comes before what is near.

A caller who gives mentions says that each is a name, so that rules which spare a window the many
records that its common words name do not apply.
"""

from collections.abc import Sequence
from dataclasses import replace

from relik.kb import KnowledgeBase
from relik.names.resolve import resolve
from relik.types import Candidate, Span, Window, WindowCandidates

PER_MENTION = 6
ALWAYS_READ = 8


def readings(
    windows: Sequence[Window],
    candidates: Sequence[WindowCandidates],
    mentions: Sequence[Sequence[Span] | None],
    kb: KnowledgeBase | None,
) -> list[tuple[int, Sequence[Span], WindowCandidates]]:
    """Say which mentions to read with which candidates.

    A window whose mentions may mean more than there is room for is read more than once.

    Args:
        windows: Windows.
        candidates: Candidates of each.
        mentions: Mentions of each, in code points of the document; None where they are to be
            found, and the window is left out.
        kb: The knowledge base of the entities; None to take the candidates as they are.

    Returns:
        Position of the window, some of its mentions, and the candidates for these; every mention
        once, in order. The bearers of their names are at most two thirds of the candidates, unless
        one mention alone has more.
    """
    asked: list[tuple[int, Sequence[Span], WindowCandidates]] = []
    for at, (window, found, spans) in enumerate(zip(windows, candidates, mentions, strict=True)):
        if spans is None:
            continue
        if kb is None:
            asked += [(at, spans, found)] if spans else []
            continue
        for group in _groups(window, spans, kb, room=len(found.entities) * 2 // 3):
            asked.append((at, group, with_named(found, window, group, kb)))
    return asked


def _groups(
    window: Window, mentions: Sequence[Span], kb: KnowledgeBase, *, room: int
) -> list[list[Span]]:
    groups: list[list[Span]] = []
    held: set[str] = set()
    for mention in mentions:
        bearers = set(bearers_of(_surface(window, mention), kb))
        if not groups or len(held | bearers) > room:
            groups.append([])
            held = set()
        groups[-1].append(mention)
        held |= bearers
    return groups


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
    surfaces = [_surface(window, mention) for mention in mentions]
    held = found.entities
    bearers = dict.fromkeys(entity for surface in surfaces for entity in bearers_of(surface, kb))
    missing = bearers.keys() - {candidate.entity_id for candidate in held}
    if not missing:
        return found
    n_kept = max(len(held) - len(missing), len(held) // 2)
    # A bearer that was found among the last does not make room for another.
    spare = [candidate for candidate in held if candidate.entity_id not in bearers]
    spare = spare[max(0, n_kept - (len(held) - len(spare))) :]
    dropped = {candidate.entity_id for candidate in spare}
    kept = [candidate for candidate in held if candidate.entity_id not in dropped]
    worst = kept[-1].score if kept else 0.0
    added = [
        Candidate(entity_id=entity_id, score=worst, rank=0, source="given")
        for entity_id in sorted(missing)
    ]
    # Ties by id, as everywhere: the last that stay may have the same score.
    ranked = sorted([*kept, *added], key=lambda one: (-one.score, one.entity_id))
    entities = tuple(replace(one, rank=rank) for rank, one in enumerate(ranked))
    return replace(found, entities=entities)


def worth_reading(found: WindowCandidates, least: float) -> WindowCandidates:
    """Leave the improbable candidates of a window out.

    Args:
        found: Candidates of the window, best first.
        least: As `ReaderConfig.least_candidate`.

    Returns:
        The candidates without those behind the first `ALWAYS_READ` that score less.
    """
    if not least:
        return found
    n_likely = sum(candidate.score >= least for candidate in found.entities)
    return replace(found, entities=found.entities[: max(n_likely, ALWAYS_READ)])


def _surface(window: Window, mention: Span) -> str:
    first = window.span.start
    return window.text[max(0, mention.start - first) : mention.end - first]


def bearers_of(surface: str, kb: KnowledgeBase) -> list[str]:
    """Give the ids of the records that a name means most often, `PER_MENTION` at most."""
    return [kb.entity_id(sense.row) for sense in resolve(kb, surface)[:PER_MENTION]]
