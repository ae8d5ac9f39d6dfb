"""The protocol of a served pipeline: the steps split, retrieve, read and merge."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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


class View(Protocol):
    """A version of the knowledge base; a request keeps the view of its admission."""

    @property
    def version(self) -> str:
        """Version of the knowledge base, for the answer."""

    def entity(self, entity_id: str) -> Entity | None:
        """Return an entity, or None if the id is unknown."""

    def relation(self, relation_id: str) -> Relation | None:
        """Return a relation, or None if the id is unknown."""


class Stages(Protocol):
    """The steps of `relik.pipeline.Pipeline` that the server calls.

    A view is only ever passed back to the pipeline that it came from: its type does not matter.

    `retrieve` and `read` each have one thread, and run concurrently; any thread may call the
    others.
    """

    @property
    def model(self) -> str:
        """Name of the model."""

    @property
    def view(self) -> Any:
        """The view that the pipeline was opened with."""

    def split(self, document: Document) -> list[Window]:
        """Split a document into windows; an empty text has none."""

    def count_tokens(self, window: Window) -> int:
        """Estimate the tokens of a window."""

    def retrieve(
        self, windows: Sequence[Window], *, options: AnnotateOptions, view: Any
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
        view: Any,
    ) -> list[WindowAnnotation]:
        """Return the annotation of each window, same length and order, each read independently."""

    def merge(
        self,
        document: Document,
        window_annotations: Sequence[WindowAnnotation],
        *,
        options: AnnotateOptions,
        view: Any,
    ) -> Annotation:
        """Merge the annotations of the windows of one document."""


class GivenStages(Protocol):
    """The steps of a pipeline that can link given mentions."""

    def read(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        *,
        options: AnnotateOptions,
        mentions: Sequence[Sequence[Span] | None],
        view: Any,
    ) -> list[WindowAnnotation]:
        """Return the annotation of each window; in one with mentions None, detect mentions."""

    def merge(
        self,
        document: Document,
        window_annotations: Sequence[WindowAnnotation],
        *,
        options: AnnotateOptions,
        mentions: Sequence[Span],
        view: Any,
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
