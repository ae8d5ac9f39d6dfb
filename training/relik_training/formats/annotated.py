"""The annotated document of all converters, its checked builder, and the protocol of a format."""

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from relik_training.formats.conversion_report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A mention of an entity.

    Args:
        start: First code point.
        end: One past the last code point; after `start`.
        entity_id: Its entity; None for NIL or an unlinked mention.
        extra: Further fields: `type`, `title`, `cluster` and the like.
    """

    start: int
    end: int
    entity_id: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def span(self) -> tuple[int, int]:
        """Start and end."""
        return self.start, self.end

    def text(self, key: str, default: str = "") -> str:
        """Return a field of `extra`, or the default if it is not a non-empty string."""
        value = self.extra.get(key)
        return value if isinstance(value, str) and value else default


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An annotated document.

    Args:
        mentions: In the order of the file; they may overlap.
        triples: Index of the subject's mention, relation, index of the object's mention.
        clusters: Indices of coreferent mentions; None if the file has no coreference.
        fields: Further fields of the document.
    """

    doc_id: str
    text: str
    mentions: tuple[Mention, ...] = ()
    triples: tuple[tuple[int, str, int], ...] = ()
    clusters: tuple[tuple[int, ...], ...] | None = None
    fields: Mapping[str, object] = field(default_factory=dict)

    def surface(self, mention: Mention) -> str:
        """Return the surface form of a mention."""
        return self.text[mention.start : mention.end]


class Format(Protocol):
    """Reads and writes annotated documents in one format."""

    @property
    def loses(self) -> str:
        """What this format cannot represent, as a message; "" for nothing."""

    def read(self, path: Path, report: Report) -> Iterator[Record]:
        """Read documents in the order of the file.

        Args:
            path: The file; gzip if its name ends in .gz.
            report: Counts mentions that cannot be aligned with the text.

        Raises:
            InputError: The file cannot be read, or has another shape.
        """

    def keep(self, record: Record, report: Report) -> Record | None:
        """Drop what this format cannot represent; None if nothing is left."""

    def write(self, records: Iterable[Record], path: Path) -> None:
        """Write documents.

        Args:
            records: Documents returned by `keep`.
            path: The file; gzip if its name ends in .gz.
        """


class RecordBuilder:
    """Builds a record from the annotations of a file, and drops those that do not fit the text."""

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
        """Add a mention, or drop it if it does not fit the text.

        Args:
            key: Key by which the triples and clusters of the file refer to it; of several mentions
                with one key they mean the first.
            surface: Surface form by the file, to check the offsets; None if the file has none.

        Raises:
            TypeError: The offsets are not whole numbers, or the id is not a string.
        """
        span = mention.span
        if not all(type(offset) is int for offset in span):
            raise TypeError(f"offsets {list(span)} are not whole numbers")
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
        """Count something that this document does not get."""
        self._report.drop(reason, doc_id=self._doc_id, span=span)

    def build(
        self,
        fields: Mapping[str, object] | None = None,
        clusters: Iterable[Iterable[Hashable]] | None = None,
    ) -> Record:
        """Return the record.

        Args:
            fields: Further fields of the document.
            clusters: Keys of coreferent mentions, or None if the file has no coreference; keys of
                dropped mentions are ignored.
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
        kept: For each mention, whether to keep it; the caller reports those that it drops.
        report: Counts the triples that lose a mention.
    """
    if all(kept):
        return record
    index_of = {
        old: new for new, old in enumerate(i for i, keep_mention in enumerate(kept) if keep_mention)
    }
    triples = []
    for subject, relation, object_ in record.triples:
        if subject in index_of and object_ in index_of:
            triples.append((index_of[subject], relation, index_of[object_]))
        else:
            span = record.mentions[subject].span
            report.drop("triple without one of its spans", doc_id=record.doc_id, span=span)
    clusters = record.clusters
    if clusters is not None:
        remaining = (tuple(index_of[i] for i in group if i in index_of) for group in clusters)
        clusters = tuple(group for group in remaining if group)
    return replace(
        record,
        mentions=tuple(record.mentions[i] for i in index_of),
        triples=tuple(triples),
        clusters=clusters,
    )


def without_triples(record: Record, report: Report, reason: str) -> Record:
    """Drop the triples of a record, and report each with the reason."""
    for subject, _, _ in record.triples:
        report.drop(reason, doc_id=record.doc_id, span=record.mentions[subject].span)
    return replace(record, triples=())


def without_overlaps(record: Record, report: Report) -> Record:
    """Keep only the longest, then the first, of overlapping mentions."""
    mentions = record.mentions
    order = sorted(
        range(len(mentions)),
        key=lambda i: (mentions[i].start - mentions[i].end, mentions[i].start, i),
    )
    kept = [False] * len(mentions)
    spans: list[tuple[int, int]] = []
    for i in order:
        span = mentions[i].span
        at = bisect_left(spans, span)
        clear = at == 0 or spans[at - 1][1] <= span[0]
        if clear and (at == len(spans) or span[1] <= spans[at][0]):
            spans.insert(at, span)
            kept[i] = True
        else:
            report.drop("span overlaps another", doc_id=record.doc_id, span=span)
    return select(record, kept, report)
