"""Letters that are words or initials, and are taken for the name of a letter or of an element.

A knowledge base has records that are called "A", "J" and "K", and encyclopedias link them on pages
about letters, elements and grades alone; in all other text "A" is an article and "K." somebody's
first name. TagMe (Ferragina and Scaiella 2010) leaves out all names of one character; here "X" and
"C" stay names where they stand alone.
"""

import numpy as np

from relik.config import ReaderConfig
from relik.kb.names import is_joined
from relik.reader.assemble import Row, text_mask
from relik.reader.inputs import TextTokens
from relik.reader.titles import but_titles
from relik.types import FloatArray, IntArray

_WORDS = frozenset({"a", "an", "i", "the"})


def but_bare(scores: FloatArray, starts: IntArray, row: Row, *, config: ReaderConfig) -> FloatArray:
    """Take their probability from spans that are an article, an initial or a title by itself.

    What they lose no other end gains: an article begins no name.

    Args:
        scores: Float32, (n_starts, n_tokens), of `end_scores`.
        starts: Int64, (n_starts,), positions in the row.
        row: What is read.
        config: `skip_initials` and `skip_titles`; without them all stay as they are.

    Returns:
        Float32, same shape.
    """
    scores = but_titles(scores, starts, row, skip=config.skip_titles)
    if not config.skip_initials:
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
