"""The protocol of a served pipeline: the steps split, retrieve, read and merge."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from relik.types import (
    AnnotateOptions,
    Annotation,
    Document,
    Entity,
    Relation,
    Span,
    Window,
    WindowAnnotation,
    WindowCandidates,
)


class Stages(Protocol):
    """The steps of `relik.pipeline.Pipeline` that the server calls.

    `retrieve` and `read` each have one thread, and run concurrently; any thread may call the
    others.
    """

    @property
    def model(self) -> str:
        """Name of the model."""

    @property
    def kb_version(self) -> str:
        """Version of the knowledge base."""

    def split(self, document: Document) -> list[Window]:
        """Split a document into windows; an empty text has none."""

    def count_tokens(self, window: Window) -> int:
        """Estimate the tokens of a window."""

    def retrieve(
        self, windows: Sequence[Window], *, options: AnnotateOptions
    ) -> list[WindowCandidates]:
        """Return the candidates of each window, same length and order.

        A batch has all windows of a document, in order, because they are evidence for each other.
        """

    def read(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        *,
        options: AnnotateOptions,
    ) -> list[WindowAnnotation]:
        """Return the annotation of each window, same length and order, each read independently."""

    def merge(
        self,
        document: Document,
        window_annotations: Sequence[WindowAnnotation],
        *,
        options: AnnotateOptions,
    ) -> Annotation:
        """Merge the annotations of the windows of one document."""

    def entity(self, entity_id: str) -> Entity | None:
        """Return an entity, or None if the id is unknown."""

    def relation(self, relation_id: str) -> Relation | None:
        """Return a relation, or None if the id is unknown."""


class GivenStages(Protocol):
    """The steps of a pipeline that can link given mentions."""

    def read(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        *,
        options: AnnotateOptions,
        mentions: Sequence[Sequence[Span] | None],
    ) -> list[WindowAnnotation]:
        """Return the annotation of each window; in one with mentions None, detect mentions."""

    def merge(
        self,
        document: Document,
        window_annotations: Sequence[WindowAnnotation],
        *,
        options: AnnotateOptions,
        mentions: Sequence[Span],
    ) -> Annotation:
        """Merge the annotations of the windows of one document with given mentions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A pipeline and the sizes of its knowledge bases.

    Args:
        given: The same pipeline if it can link given mentions, else None.
    """

    stages: Stages
    n_entities: int
    n_relations: int
    given: GivenStages | None = None
