"""The values that flow through the library, and the seams between its stages.

Every value is frozen. Offsets are half-open ranges of Unicode code points of `Document.text`,
which is never altered. This module imports nothing of the package but its errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from relik.errors import InputError

FloatArray: TypeAlias = NDArray[np.float32]
IntArray: TypeAlias = NDArray[np.int64]
Source: TypeAlias = Literal["dense", "lexical", "given"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text to annotate.

    Args:
        doc_id: The caller's name for it; need not be unique in a batch.
        text: Any string; offsets of every answer index it.
    """

    doc_id: str
    text: str


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of code points of a document's text.

    Args:
        start: First code point, from 0.
        end: One past the last code point.

    Raises:
        InputError: `start` is negative or `end` is not after `start`.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise InputError(
                f"got a span from {self.start} to {self.end}, expected 0 <= start < end: "
                "give half-open code-point offsets"
            )

    def overlaps(self, other: "Span") -> bool:
        """Tell whether the two share at least one code point.

        Args:
            other: Another span of the same document.

        Returns:
            True where they overlap.
        """
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of a document that one forward pass reads.

    Args:
        doc_id: `Document.doc_id`.
        index: Position among the windows of its document, from 0.
        span: Where it lies in the document.
        text: `document.text[span.start:span.end]`.
    """

    doc_id: str
    index: int
    span: Span
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A record of a knowledge base.

    Args:
        entity_id: Unique in its knowledge base, such as a Wikidata QID.
        name: The preferred name.
        aliases: Other names.
        description: A short phrase that tells it from namesakes; may be empty.
        types: Coarse types, such as "person"; may be empty.
    """

    entity_id: str
    name: str
    aliases: tuple[str, ...] = ()
    description: str = ""
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A relation that triples can have: the same record as an entity, with fewer fields.

    Args:
        relation_id: Unique in its knowledge base, such as a Wikidata PID.
        name: The preferred name.
        description: What it says of its subject and object.
    """

    relation_id: str
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An entity or relation proposed for a window or for a span.

    Args:
        entity_id: Id in the knowledge base (a relation id for relations).
        score: 0..1 within one list, descending; ties are ordered by id.
        rank: Position in its list, from 0.
        source: What proposed it.
    """

    entity_id: str
    score: float
    rank: int
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCandidates:
    """What was retrieved for one window.

    Args:
        entities: Entity candidates, best first.
        relations: Relation candidates, best first.
    """

    entities: tuple[Candidate, ...] = ()
    relations: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitySpan:
    """A mention and the entity it names.

    Args:
        span: Where it lies in the document.
        entity_id: Id in the knowledge base, or None for NIL: a mention of nothing known.
        score: Calibrated, 0..1.
        candidates: The entities the reader weighed, best first; filled only when asked.
    """

    span: Span
    entity_id: str | None
    score: float
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Triple:
    """A relation between two mentions; both are among `Annotation.spans`.

    Args:
        subject: Span of the subject.
        relation_id: Id in the knowledge base of relations.
        object: Span of the object.
        score: Calibrated, 0..1.
    """

    subject: Span
    relation_id: str
    object: Span
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MentionPair:
    """Two mentions of a document whose relation is asked for.

    Args:
        subject: What the relation starts from.
        object: What it leads to.
    """

    subject: Span
    object: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of a document was read.

    Args:
        characters: Code points read.
        windows: Windows read.
        truncated: True if any part of the text was not read.
    """

    characters: int
    windows: int
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """The answer for one document.

    Args:
        doc_id: `Document.doc_id`.
        spans: Sorted by position; no two overlap.
        triples: Sorted by subject, relation, object.
        coverage: How much was read.
    """

    doc_id: str
    spans: tuple[EntitySpan, ...]
    triples: tuple[Triple, ...]
    coverage: Coverage


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowAnnotation:
    """What the reader found in one window, in document coordinates; spans may overlap.

    Args:
        window: The window read.
        spans: Mentions found.
        triples: Triples found; both ends are among `spans`.
        truncated: True if the end of the window's text did not fit the reader.
    """

    window: Window
    spans: tuple[EntitySpan, ...]
    triples: tuple[Triple, ...]
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateOptions:
    """What a caller may choose per request; None means the bundle's own setting.

    Args:
        entities: Return linked entities.
        relations: Return triples.
        top_k: Entity candidates per window.
        threshold: Least score of a span, 0..1.
        relation_threshold: Least score of a triple, 0..1.
        explain: Fill `EntitySpan.candidates`.
        nil: Keep mentions that are linked to nothing.
        types: Keep only entities with one of these coarse types; empty keeps all.
        pretokenised: The texts come in words with white space between, as those of many data sets
            do; a mention that is found consists of such words.
    """

    entities: bool = True
    relations: bool = True
    top_k: int | None = None
    threshold: float | None = None
    relation_threshold: float | None = None
    explain: bool = False
    nil: bool = False
    types: tuple[str, ...] = ()
    pretokenised: bool = False


class TextEncoder(Protocol):
    """Turns texts into vectors."""

    @property
    def dim(self) -> int:
        """Width of the vectors; never changes."""

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Encode texts, each on its own: the batch does not change a vector.

        Args:
            texts: Any strings.

        Returns:
            Float32, (n_texts, dim), L2-normalised, in the order given.
        """


class VectorIndex(Protocol):
    """Finds the nearest rows of a matrix by inner product."""

    @property
    def dim(self) -> int:
        """Width of the vectors."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def search(self, queries: FloatArray, *, top_k: int) -> tuple[IntArray, FloatArray]:
        """Return the best rows of each query.

        Args:
            queries: Float32, (n_queries, dim).
            top_k: Rows per query, at least 1.

        Returns:
            Rows, int64, and scores, float32, both (n_queries, min(top_k, n_rows)), best first.

        Raises:
            DimensionMismatchError: The queries have another width.
        """

    def reconstruct(self, rows: IntArray) -> FloatArray:
        """Return the vectors of rows as the index keeps them.

        Args:
            rows: Int64, (n,).

        Returns:
            Float32, (n, dim); quantised indexes return approximations.
        """
