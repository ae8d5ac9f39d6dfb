"""A second look at mentions that no candidate has the name of.

Names are looked up before a window is read, and of words in lower case, which are names as well,
only some are. A mention that the reader then finds, and links to nothing, says that one was missed.
REL (van Hulst et al., 2020) looks candidates up for the mentions that its tagger found; here that
is done for those alone whose names have none.
"""

from collections.abc import Iterator, Sequence

from relik.config import ReaderConfig
from relik.kb import KnowledgeBase
from relik.kb.names import CASED, PARTIAL, normalise
from relik.reader.reader import TransformerReader
from relik.retriever.named import bearers_of, with_named, worth_reading
from relik.types import AnnotateOptions, Span, Window, WindowAnnotation, WindowCandidates

_SHORTEST = 2


def read_free(
    reader: TransformerReader,
    entities: KnowledgeBase,
    windows: Sequence[Window],
    candidates: Sequence[WindowCandidates],
    *,
    config: ReaderConfig,
    options: AnnotateOptions,
) -> list[WindowAnnotation]:
    """Read windows whose mentions are to be found, with the candidates that are worth reading.

    A window in which a mention was linked to nothing for want of candidates is read again.

    Args:
        reader: The reader.
        entities: Knowledge base of the candidates.
        windows: Windows.
        candidates: Candidates of each.
        config: `least_candidate`, `look_again` and `threshold`, which a mention must reach that is
            looked up again. It is not the caller's: who asks for improbable mentions too gets the
            others as they are.
        options: Tasks and thresholds. Where types are asked for, a name may be of another, and is
            not looked up again.

    Returns:
        One annotation a window, same order.
    """
    worth = [worth_reading(found, config.least_candidate) for found in candidates]
    read = reader.read(windows, worth, options=options)
    if not config.look_again or options.types or entities.any_case:
        return read
    asked: dict[int, WindowCandidates] = {}
    for i, (tried, told) in enumerate(zip(worth, read, strict=True)):
        if missed := list(_missed(told, tried, entities, config.threshold)):
            asked[i] = with_named(candidates[i], told.window, missed, entities)
    again = reader.read([windows[i] for i in asked], list(asked.values()), options=options)
    second = dict(zip(asked, again, strict=True))
    return [second.get(i, told) for i, told in enumerate(read)]


def _missed(
    told: WindowAnnotation, proposed: WindowCandidates, entities: KnowledgeBase, least: float
) -> Iterator[Span]:
    first = told.window.span.start
    held = {candidate.entity_id for candidate in proposed.entities}
    for found in told.spans:
        long = found.span.end - found.span.start >= _SHORTEST
        if found.entity_id is None and found.score >= least and long:
            surface = told.window.text[found.span.start - first : found.span.end - first]
            if _is_name(surface, entities) and held.isdisjoint(bearers_of(surface, entities)):
                yield found.span


def _is_name(surface: str, entities: KnowledgeBase) -> bool:
    """Tell whether some record has it as a name with a capital; common nouns were looked up."""
    matches = entities.names.lookup(normalise(surface))
    return any(match.flags & CASED and not match.flags & PARTIAL for match in matches)
