"""The window that both halves of `relik.upstream` hand to each other."""

from dataclasses import dataclass

from relik.types import IntArray


@dataclass(frozen=True, slots=True)
class UpstreamWindow:
    """A stretch of words of one document that the reader reads at once.

    Args:
        doc_id: Position of the document in its batch.
        window_id: Position of the window in its document.
        text: The window's text.
        words: Its words.
        starts: Int64, (n_words,), first code point of each word in the document.
        ends: Int64, (n_words,), one past its last code point.
        offset: First code point of the window in the document.
    """

    doc_id: int
    window_id: int
    text: str
    words: tuple[str, ...]
    starts: IntArray
    ends: IntArray
    offset: int
