"""One annotated document between two formats, checked where it is built."""

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from relik_training.formats.conversion_report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A span of a text and what it names.

    Args:
        start: First code point.
        end: One past the last code point; after `start`.
        entity_id: Its id, or None where it has none.
        extra: What else is known: `type`, `title`, `cluster` and the like.
    """

    start: int
    end: int
    entity_id: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)

    def text(self, key: str, default: str = "") -> str:
        """Give something of `extra` that is a text.

        Args:
            key: Its name.
            default: Given where it is absent, empty or no text.

        Returns:
            The text.
        """
        value = self.extra.get(key)
        return value if isinstance(value, str) and value else default


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An annotated document.

    Args:
        doc_id: Its name.
        text: Offsets of the mentions index it.
        mentions: In the order of the file; they may overlap.
        triples: Index of the subject's mention, relation, index of the object's mention.
        clusters: Indices of mentions of the same thing; None where nobody grouped them.
        fields: What else the file says of the document.
    """

    doc_id: str
    text: str
    mentions: tuple[Mention, ...] = ()
    triples: tuple[tuple[int, str, int], ...] = ()
    clusters: tuple[tuple[int, ...], ...] | None = None
    fields: Mapping[str, object] = field(default_factory=dict)

    def surface(self, mention: Mention) -> str:
        """Give the text of a mention.

        Args:
            mention: One of `mentions`.

        Returns:
            A part of `text`.
        """
        return self.text[mention.start : mention.end]


class Format(Protocol):
    """Reads and writes annotated documents in one format."""

    @property
    def loses(self) -> str:
        """What a file in this format cannot hold, in words; empty for nothing."""

    def read(self, path: Path, report: Report) -> Iterator[Record]:
        """Read documents, one after the other.

        Args:
            path: The file; gzip where its name ends in .gz.
            report: Counts what cannot be aligned.

        Yields:
            Documents in the order of the file.

        Raises:
            InputError: The file cannot be read, or has another shape.
        """

    def keep(self, record: Record, report: Report) -> Record | None:
        """Leave out what this format cannot hold.

        Args:
            record: A document.
            report: Counts what is left out.

        Returns:
            What can be written, or None if nothing can.
        """

    def write(self, records: Iterable[Record], path: Path) -> None:
        """Write documents.

        Args:
            records: Documents as `keep` gives them.
            path: The file to fill; gzip where its name ends in .gz.
        """


class RecordBuilder:
    """Builds a record of what a file says, and drops what does not fit the text.

    Args:
        doc_id: Name of the document.
        text: Its text.
        report: Counts what is dropped.
    """

    def __init__(self, doc_id: str, text: str, report: Report) -> None:
        if not isinstance(text, str):
            raise TypeError(f"text is a {type(text).__name__}, not a string")
        self._doc_id = doc_id
        self._text = text
        self._report = report
        self._mentions: list[Mention] = []
        self._place: dict[Hashable, int] = {}
        self._spans: dict[Hashable, tuple[int, int]] = {}
        self._triples: list[tuple[int, str, int]] = []

    def mention(self, key: Hashable, mention: Mention, surface: object = None) -> None:
        """Add a mention, if it fits the text.

        Args:
            key: What the file's triples and clusters call it; the first one of a key counts.
            mention: Where it lies and what it names.
            surface: Its text as the file says it; None where it says nothing.

        Raises:
            TypeError: The offsets are no whole numbers, or the id is no string.
        """
        span = (mention.start, mention.end)
        if not all(type(offset) is int for offset in span):
            raise TypeError(f"span {list(span)} is not of whole numbers")
        if not (mention.entity_id is None or isinstance(mention.entity_id, str)):
            raise TypeError(f"id {mention.entity_id!r} is neither a string nor null")
        self._spans.setdefault(key, span)
        if not 0 <= mention.start < mention.end <= len(self._text):
            self.drop("span outside the text", span)
        elif surface is not None and self._text[mention.start : mention.end] != surface:
            self.drop("offsets do not match the surface", span)
        else:
            self._place.setdefault(key, len(self._mentions))
            self._mentions.append(mention)

    def triple(self, subject: Hashable, relation: object, object_: Hashable) -> None:
        """Add a triple, if both its mentions were added.

        Args:
            subject: Key of a mention.
            relation: Id of the relation.
            object_: Key of a mention.

        Raises:
            TypeError: The relation is no string.
        """
        if not isinstance(relation, str):
            raise TypeError(f"relation {relation!r} is not a string")
        if subject in self._place and object_ in self._place:
            self._triples.append((self._place[subject], relation, self._place[object_]))
        else:
            self.drop("triple without one of its spans", self._spans.get(subject))

    def drop(self, reason: str, span: tuple[int, int] | None = None) -> None:
        """Count something that this document does not get.

        Args:
            reason: Why.
            span: Its offsets as the file gave them.
        """
        self._report.drop(reason, doc_id=self._doc_id, span=span)

    def build(
        self,
        fields: Mapping[str, object] | None = None,
        clusters: Iterable[Iterable[Hashable]] | None = None,
    ) -> Record:
        """Give the record.

        Args:
            fields: What else the file says of the document.
            clusters: Keys of mentions of the same thing, or None where nobody grouped them;
                those that were not added are passed over.

        Returns:
            What was added.
        """
        groups = None
        if clusters is not None:
            placed = (
                tuple(self._place[key] for key in group if key in self._place) for group in clusters
            )
            groups = tuple(group for group in placed if group)
        return Record(
            doc_id=self._doc_id,
            text=self._text,
            mentions=tuple(self._mentions),
            triples=tuple(self._triples),
            clusters=groups,
            fields=fields or {},
        )


def select(record: Record, kept: Sequence[bool], report: Report) -> Record:
    """Keep some mentions of a record, and the triples between them.

    Args:
        record: A document.
        kept: For each mention whether it stays; who says no counts why.
        report: Counts the triples that lose a mention.

    Returns:
        The document with the rest.
    """
    if all(kept):
        return record
    place = {old: new for new, old in enumerate(i for i, stays in enumerate(kept) if stays)}
    triples = []
    for subject, relation, object_ in record.triples:
        if subject in place and object_ in place:
            triples.append((place[subject], relation, place[object_]))
        else:
            span = (record.mentions[subject].start, record.mentions[subject].end)
            report.drop("triple without one of its spans", doc_id=record.doc_id, span=span)
    clusters = record.clusters
    if clusters is not None:
        remaining = (tuple(place[i] for i in group if i in place) for group in clusters)
        clusters = tuple(group for group in remaining if group)
    return replace(
        record,
        mentions=tuple(record.mentions[i] for i in place),
        triples=tuple(triples),
        clusters=clusters,
    )


def without_triples(record: Record, report: Report, reason: str) -> Record:
    """Drop the triples of a record.

    Args:
        record: A document.
        report: Counts them.
        reason: Why.

    Returns:
        The document without.
    """
    for subject, _, _ in record.triples:
        span = (record.mentions[subject].start, record.mentions[subject].end)
        report.drop(reason, doc_id=record.doc_id, span=span)
    return replace(record, triples=())


def without_overlaps(record: Record, report: Report) -> Record:
    """Drop mentions that overlap another: the longest stays, then the first.

    Args:
        record: A document.
        report: Counts them.

    Returns:
        The document without.
    """
    mentions = record.mentions
    order = sorted(
        range(len(mentions)),
        key=lambda i: (mentions[i].start - mentions[i].end, mentions[i].start, i),
    )
    kept = [False] * len(mentions)
    taken: list[tuple[int, int]] = []
    for i in order:
        span = (mentions[i].start, mentions[i].end)
        at = bisect_left(taken, span)
        clear = at == 0 or taken[at - 1][1] <= span[0]
        if clear and (at == len(taken) or span[1] <= taken[at][0]):
            taken.insert(at, span)
            kept[i] = True
        else:
            report.drop("span overlaps another", doc_id=record.doc_id, span=span)
    return select(record, kept, report)
