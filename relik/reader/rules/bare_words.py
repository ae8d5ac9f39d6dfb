"""Letters that are words or initials, and are taken for the name of a letter or of an element.

A knowledge base has records that are called "A", "J" and "K", and encyclopedias link them on pages
about letters, elements and grades alone; in all other text "A" is an article and "K." somebody's
first name. TagMe (Ferragina and Scaiella 2010) leaves out all names of one character; here "X" and
"C" stay names where they stand alone.
"""

import re
from collections.abc import Iterator

import numpy as np

from relik.config import RulesConfig
from relik.names.normalise import is_joined
from relik.reader.inputs import Row, TextTokens, text_mask
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

_WORDS = frozenset({"a", "an", "i", "the"})


def but_titles(scores: FloatArray, starts: IntArray, row: Row, *, skip: bool) -> FloatArray:
    """Take their probability from spans that are no more than the title of the name behind them.

    What they lose no other end gains; "General Motors" and "Lady Gaga" keep what they have.

    Args:
        scores: Float32, (n_starts, n_tokens), of `end_scores`.
        starts: Int64, (n_starts,), positions in the row.
        row: What is read.
        skip: As `RulesConfig.skip_titles`; without it all stay as they are.

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


def but_bare(scores: FloatArray, starts: IntArray, row: Row, *, rules: RulesConfig) -> FloatArray:
    """Take their probability from spans that are an article, an initial or a title by itself.

    What they lose no other end gains: an article begins no name.

    Args:
        scores: Float32, (n_starts, n_tokens), of `end_scores`.
        starts: Int64, (n_starts,), positions in the row.
        row: What is read.
        rules: `skip_initials` and `skip_titles`; without them all stay as they are.

    Returns:
        Float32, same shape.
    """
    scores = but_titles(scores, starts, row, skip=rules.skip_titles)
    if not rules.skip_initials:
        return scores
    bare = text_mask(bare_letters(row.window.text, row.text), scores.shape[1])
    kept = scores.copy()
    kept[np.flatnonzero(bare[starts]), starts[bare[starts]]] = 0.0
    return kept


def bare_letters(text: str, tokens: TextTokens) -> np.ndarray:
    """Tell which tokens are no mention by themselves.

    Those are English articles and "I", letters in lower case, and letters that something is joined
    to: a full stop, an apostrophe, a hyphen. Scripts without case have words of one character.

    Args:
        text: The window.
        tokens: Its tokens.

    Returns:
        Bool, (n_text,).
    """
    bare = np.zeros(len(tokens.ids), dtype=bool)
    lengths = tokens.ends - tokens.starts
    for k in np.flatnonzero((lengths > 0) & (lengths <= len("the"))):
        first, last = int(tokens.starts[k]), int(tokens.ends[k])
        word = text[first:last]
        bare[k] = word.lower() in _WORDS or (
            len(word) == 1 and (word.islower() or (word.isupper() and is_joined(text, first, last)))
        )
    return bare
