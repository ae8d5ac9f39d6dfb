"""Mentions that stand within the whole name of a record.

A reader has learned to find "American" and "Berlin", and finds them in "American football" and in
"Turks in Berlin" as well, where the text names another record from its first word to its last.
Matchers against a dictionary take the longest name (DBpedia Spotlight: Daiber et al., 2013); here
the longer name is one more thing to read, and stands only if the reader links it to that record.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from relik.kb import KnowledgeBase
from relik.names.normalise import normalise
from relik.names.resolve import resolve_key
from relik.reader.decode import NIL_CLASS, DecodedSpan, ProposedSpan
from relik.reader.inputs import Row
from relik.reader.rules.comma_places import two_places

_ARTICLES = ("a ", "an ", "the ")


def with_whole_names(
    kb: KnowledgeBase, row: Row, spans: Sequence[ProposedSpan]
) -> list[ProposedSpan]:
    """Propose, beside the spans that were found, whole names of candidates around them.

    A whole name is the preferred name of one record alone, has several words, begins with a
    capital or a digit, and stands in the text as it is written. "Oakland, California" is two
    places and no name, "Washington, D.C." is one. An article at its beginning is left to the
    reader.

    Args:
        kb: Knowledge base of the candidates.
        row: What is read.
        spans: Spans that were found in it.

    Returns:
        The spans, and behind them names that none of them is, as probable as the most probable
        span within.
    """
    found = {(span.start, span.end) for span in spans}
    around = []
    for place, only in _whole_names(kb, row) if spans and row.given is None else ():
        within = [s.mention for s in spans if place[0] <= s.start and s.end <= place[1]]
        if within and place not in found:
            found.add(place)
            around.append(ProposedSpan(*place, mention=max(within), only=only))
    return [*spans, *around]


def settled(spans: Sequence[DecodedSpan]) -> list[DecodedSpan]:
    """Keep a whole name and drop what stands within it, or the other way round.

    Args:
        spans: Spans of one row, linked, with those of `with_whole_names`.

    Returns:
        Spans in the same order. Whole names that were linked to their record are among them, and
        nothing within these.
    """
    whole = [span for span in spans if span.only and span.best == span.only]
    return [
        span
        for span in spans
        if (not span.only or span.best == span.only)
        and not any(_is_within(span, longer) for longer in whole)
    ]


def _is_within(span: DecodedSpan, longer: DecodedSpan) -> bool:
    return (
        longer.start <= span.start
        and span.end <= longer.end
        and span.end - span.start < longer.end - longer.start
    )


def _whole_names(kb: KnowledgeBase, row: Row) -> Iterator[tuple[tuple[int, int], int]]:
    """Give first and last token, as row positions, and class of each whole name in the text."""
    n_read = len(row.built.entity_positions) - NIL_CLASS - 1
    for k, number in enumerate(row.entity_rows[:n_read]):
        name = kb.name(number)
        if not _is_told_apart(name) or name not in row.window.text or any(two_places(kb, name)):
            continue
        senses = resolve_key(kb, normalise(name), lower=False, formed=False)
        if sum(sense.preferred for sense in senses) == 1:
            for place in _places(row, name):
                yield place, NIL_CLASS + 1 + k


def _is_told_apart(name: str) -> bool:
    return (
        " " in name
        and (name[0].isupper() or name[0].isdigit())
        and not name.lower().startswith(_ARTICLES)
    )


def _places(row: Row, name: str) -> Iterator[tuple[int, int]]:
    text = row.text
    at = row.window.text.find(name)
    while at >= 0:
        first = np.flatnonzero((text.starts == at) & text.begins_word)
        last = np.flatnonzero((text.ends == at + len(name)) & text.ends_word)
        # Tokens behind these gave way to candidates.
        if len(first) and len(last) and last[-1] < row.built.n_text:
            yield int(first[0]) + 1, int(last[-1]) + 1
        at = row.window.text.find(name, at + 1)
