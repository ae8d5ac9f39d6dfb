"""Titles that belong to the name behind them, and are taken for a mention of their own.

"President Macron" is about Macron, but a knowledge base has a record called "President", and a page
about a politician links it. Corpora of news mark the name without its title (CoNLL-2003).
"""

import re
from collections.abc import Iterator

import numpy as np

from relik.reader.assemble import Row
from relik.types import FloatArray, IntArray

# Queen and Prince are names as well, before which a title case headline puts any word.
_TITLES = """
    Admiral Ambassador Archbishop Ayatollah Baron Baroness Bishop Captain Cardinal Chairman
    Chairwoman Chancellor Colonel Commander Congressman Congresswoman Councillor Dame Doctor Dr.
    Emperor Empress Gen. General Gov. Governor Judge Justice King Lady Lieutenant Lord Lt. Major
    Mayor Minister Miss Mr. Mr Mrs. Mrs Ms. Ms Pope Premier President Prime_Minister Prof.
    Professor Rabbi Rep. Representative Rev. Reverend Sec. Secretary Sen. Senator Sergeant Sgt.
    Sheikh Sheriff Sir Sultan Vice_President
"""
_ANY = "|".join(re.escape(title).replace("_", r"\s") for title in _TITLES.split())
_BEFORE_NAME = re.compile(rf"\b(?:{_ANY})(?=\s+([^\W\d_]))")


def but_titles(scores: FloatArray, starts: IntArray, row: Row, *, skip: bool) -> FloatArray:
    """Take their probability from spans that are no more than the title of the name behind them.

    What they lose no other end gains; "General Motors" and "Lady Gaga" keep what they have.

    Args:
        scores: Float32, (n_starts, n_tokens), of `end_scores`.
        starts: Int64, (n_starts,), positions in the row.
        row: What is read.
        skip: As `ReaderConfig.skip_titles`; without it all stay as they are.

    Returns:
        Float32, same shape.
    """
    places = list(titles(row.window.text)) if skip else []
    if not places:
        return scores
    kept = scores.copy()
    for first, last in places:
        inside = np.flatnonzero((row.text.starts >= first) & (row.text.ends <= last)) + 1
        of_title = np.flatnonzero(np.isin(starts, inside))
        kept[np.ix_(of_title, inside[inside < scores.shape[1]])] = 0.0
    return kept


def titles(text: str) -> Iterator[tuple[int, int]]:
    """Find the titles that a name follows.

    Args:
        text: Any text.

    Returns:
        First code point of each, and one past its last.
    """
    for found in _BEFORE_NAME.finditer(text):
        if found.group(1).isupper():
            yield found.start(), found.end()
