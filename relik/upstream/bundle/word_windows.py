"""Windows with their words, and their conversion to the windows of upstream."""

from dataclasses import dataclass

import numpy as np

from relik.types import Document, Span, Window
from relik.upstream.text.token_windows import UpstreamWindow, Windowing, split, tokenize
from relik.upstream.text.words import SPACY, WordTokenizer


# A subclass, since the server passes windows from step to step as `Window`.
@dataclass(frozen=True, slots=True, kw_only=True)
class WordWindow(Window):
    """A window with the spans of its words, which near its ends depend on the text around it."""

    words: tuple[Span, ...]


def word_windows(
    document: Document, windowing: Windowing, word_tokenizer: WordTokenizer = SPACY
) -> list[WordWindow]:
    """Cut a document into windows; none for a text without tokens.

    Raises:
        InputError: The text has half of a surrogate pair.
        ConfigError: The word tokenizer is spaCy, which is not installed.
    """
    return [
        WordWindow(
            doc_id=document.doc_id,
            index=window.window_id,
            span=Span(window.offset, window.offset + len(window.text)),
            text=window.text,
            words=tuple(map(Span, window.starts.tolist(), window.ends.tolist())),
        )
        for window in split(
            tokenize(document.text, word_tokenizer), windowing, word_tokenizer=word_tokenizer
        )
    ]


def upstream_window(window: Window, word_tokenizer: WordTokenizer = SPACY) -> UpstreamWindow:
    """Convert a window to the reader's; one without words is tokenized without its context."""
    offset = window.span.start
    if isinstance(window, WordWindow):
        starts = np.array([word.start for word in window.words], dtype=np.int64)
        ends = np.array([word.end for word in window.words], dtype=np.int64)
    else:
        tokens = tokenize(window.text, word_tokenizer)
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
