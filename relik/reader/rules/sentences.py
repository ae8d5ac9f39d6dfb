"""Where sentences of English text begin: enough to tell whether two mentions share one."""

import re
from bisect import bisect_right

from relik.types import Span

# Two letters or digits, or a closing mark, before the stop: initials and titles end no sentence.
_SENTENCE_END = re.compile(
    r"(?:(?<=[^\W_A-Z]{2})|(?<=[\"')\]]))[.!?][\"')\]]*\s+(?=\W?[^\W\d_a-z])|\n+"
)


class Sentences:
    """Tells which sentence of a text a mention begins in.

    Args:
        text: A document, or a window of it.
    """

    def __init__(self, text: str) -> None:
        self.begins = [0, *(match.end() for match in _SENTENCE_END.finditer(text))]

    def of(self, mention: Span) -> int:
        """Return the number of the sentence of a mention, from 0."""
        return self.at(mention.start)

    def at(self, position: int) -> int:
        """Return the number of the sentence of a code point; before the text it is the first."""
        return max(0, bisect_right(self.begins, position) - 1)
