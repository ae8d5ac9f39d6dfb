"""What a conversion did: how much was written, and what was dropped, and why."""

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

Tell: TypeAlias = Callable[[int, int], None]
"""Called with how much of the input is done, and how much there is."""

MAX_EXAMPLES = 20


def _untold(_done: int, _total: int) -> None:
    """Leave progress unsaid."""


class Report:
    """Collects the counts of one conversion.

    Args:
        progress: Called while the input is read.
    """

    def __init__(self, progress: Tell = _untold) -> None:
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
        """How many spans, links, triples and documents were not written."""
        return self._dropped.total()

    def drop(self, reason: str, *, doc_id: str, span: tuple[int, int] | None = None) -> None:
        """Count one thing that is not written.

        Args:
            reason: Why; the same words for the same reason.
            doc_id: Document it belongs to.
            span: Its offsets as the file gave them; None where it is no span.
        """
        self._dropped[reason] += 1
        if len(self._examples) < MAX_EXAMPLES:
            place = None if span is None else list(span)
            self._examples.append({"doc_id": doc_id, "span": place, "reason": reason})

    def note(self, what: str) -> None:
        """Count one thing that was written otherwise than it was read.

        Args:
            what: What happened; the same words for the same thing.
        """
        self._notes[what] += 1

    def count(self, *, spans: int, linked: int, triples: int) -> None:
        """Count one document that is written.

        Args:
            spans: How many spans it has.
            linked: How many of them have an id.
            triples: How many triples it has.
        """
        self.documents += 1
        self.spans += spans
        self.linked += linked
        self.triples += triples

    def as_dict(self) -> dict[str, object]:
        """Give the report as JSON values.

        Returns:
            Counts of what was written; what was dropped by reason, most frequent first; the
            first examples of it; and what was written otherwise, by kind.
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
