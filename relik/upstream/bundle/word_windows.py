"""Windows of our own type that know their words, and what the modules of this package read."""

from dataclasses import dataclass

import numpy as np

from relik.types import Document, Span, Window
from relik.upstream.text.token_windows import UpstreamWindow, Windowing, split, tokenize
from relik.upstream.text.words import SPACY, WordCutter


# Not composed: the server hands windows from step to step, and knows only their class.
@dataclass(frozen=True, slots=True, kw_only=True)
class WordWindow(Window):
    """A window that knows its words: where it begins and ends, they depend on text around it.

    Args:
        words: Where its words lie in the document.
    """

    words: tuple[Span, ...]


def word_windows(
    document: Document, windowing: Windowing, cutter: WordCutter = SPACY
) -> list[WordWindow]:
    """Cut a document into windows.

    Returns:
        Windows in order; none for a text without tokens.

    Raises:
        InputError: The text has half of a surrogate pair.
        ConfigError: spaCy is to cut it and is not installed.
    """
    return [
        WordWindow(
            doc_id=document.doc_id,
            index=window.window_id,
            span=Span(window.offset, window.offset + len(window.text)),
            text=window.text,
            words=tuple(map(Span, window.starts.tolist(), window.ends.tolist())),
        )
        for window in split(tokenize(document.text, cutter), windowing, cutter=cutter)
    ]


def upstream_window(window: Window, cutter: WordCutter = SPACY) -> UpstreamWindow:
    """Turn a window into what the reader reads.

    Args:
        window: From `word_windows`; any other is cut into words as if nothing stood around it.
    """
    offset = window.span.start
    if isinstance(window, WordWindow):
        starts = np.array([word.start for word in window.words], dtype=np.int64)
        ends = np.array([word.end for word in window.words], dtype=np.int64)
    else:
        tokens = tokenize(window.text, cutter)
        starts, ends = tokens.starts + offset, tokens.ends + offset
    places = zip(starts.tolist(), ends.tolist(), strict=True)
    return UpstreamWindow(
        doc_id=0,
        window_id=window.index,
        text=window.text,
        words=tuple(window.text[start - offset : end - offset] for start, end in places),
        starts=starts,
        ends=ends,
        offset=offset,
    )
