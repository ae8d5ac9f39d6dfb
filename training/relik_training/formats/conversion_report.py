"""The report of a conversion: counts of what was written, and of what was dropped by reason."""

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

ProgressCallback: TypeAlias = Callable[[int, int], None]
"""Called with how much of the input is read, and its size, in the same unit."""

MAX_EXAMPLES = 20


def _no_progress(_done: int, _total: int) -> None:
    """Ignore progress."""


class Report:
    """Collects the counts of one conversion.

    Args:
        progress: Called while the input is read.
    """

    def __init__(self, progress: ProgressCallback = _no_progress) -> None:
        self.progress = progress
        self.documents = 0
        self.spans = 0
        self.linked = 0
        self.triples = 0
        self._dropped: Counter[str] = Counter()
        self._notes: Counter[str] = Counter()
        self._examples: list[dict[str, object]] = []

    @property
    def dropped(self) -> int:
        """Number of spans, links, triples and documents that were not written."""
        return self._dropped.total()

    def drop(self, reason: str, *, doc_id: str, span: tuple[int, int] | None = None) -> None:
        """Count a span, link, triple or document that is not written.

        Args:
            reason: Key of the count.
            span: Its offsets in the file; None for a document.
        """
        self._dropped[reason] += 1
        if len(self._examples) < MAX_EXAMPLES:
            place = None if span is None else list(span)
            self._examples.append({"doc_id": doc_id, "span": place, "reason": reason})

    def note(self, what: str) -> None:
        """Count a change that is no loss.

        Args:
            what: Key of the count.
        """
        self._notes[what] += 1

    def count(self, *, spans: int, linked: int, triples: int) -> None:
        """Count a written document."""
        self.documents += 1
        self.spans += spans
        self.linked += linked
        self.triples += triples

    def as_dict(self) -> dict[str, object]:
        """Return the report as JSON values.

        Returns:
            Counts of what was written; `dropped` by reason, most frequent first; `examples`, the
            first of these; and `notes`, changes by kind.
        """
        return {
            "documents": self.documents,
            "spans": self.spans,
            "linked": self.linked,
            "triples": self.triples,
            "dropped": dict(self._dropped.most_common()),
            "examples": list(self._examples),
            "notes": dict(self._notes.most_common()),
        }
