"""What the server asks of a pipeline: its four steps, each callable on its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

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
    """One version of the knowledge; a request keeps the view that it was admitted with."""

    @property
    def version(self) -> str:
        """Version of the knowledge base, for the answer."""

    def entity(self, entity_id: str) -> Entity | None:
        """Return an entity, or None where the id is unknown."""

    def relation(self, relation_id: str) -> Relation | None:
        """Return a relation, or None where the id is unknown."""


V = TypeVar("V", bound=View)
V_contra = TypeVar("V_contra", bound=View, contravariant=True)


class Stages(Protocol[V]):
    """`relik.pipeline.Pipeline`, as far as the server uses it.

    `retrieve` and `read` are each called from one thread of their own, at the same time as
    each other; everything else may be called from any thread.
    """

    @property
    def model(self) -> str:
        """Name of the model."""

    @property
    def view(self) -> V:
        """The view that the pipeline was opened with."""

    def split(self, document: Document) -> list[Window]:
        """Split a document into windows; an empty text has none."""

    def count_tokens(self, window: Window) -> int:
        """Return about how many tokens a window costs."""

    def retrieve(
        self, windows: Sequence[Window], *, options: AnnotateOptions, view: V
    ) -> list[WindowCandidates]:
        """Return the candidates of each window, same length and order.

        The windows of a document are given all together, in order: they are evidence for
        each other.
        """

    def read(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        *,
        options: AnnotateOptions,
        view: V,
    ) -> list[WindowAnnotation]:
        """Return what is found in each window, same length and order, each looked at alone."""

    def merge(
        self,
        document: Document,
        window_annotations: Sequence[WindowAnnotation],
        *,
        options: AnnotateOptions,
        view: V,
    ) -> Annotation:
        """Join what was found in the windows of one document."""


class GivenStages(Protocol[V_contra]):
    """The two steps of a pipeline that can take mentions from the caller."""

    def read(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        *,
        options: AnnotateOptions,
        mentions: Sequence[Sequence[Span] | None],
        view: V_contra,
    ) -> list[WindowAnnotation]:
        """Return what is found in each window; mentions of a window with None are to be found."""

    def merge(
        self,
        document: Document,
        window_annotations: Sequence[WindowAnnotation],
        *,
        options: AnnotateOptions,
        mentions: Sequence[Span],
        view: V_contra,
    ) -> Annotation:
        """Join what was found in the windows of one document, whose mentions were given."""


# A view goes back only to the pipeline that it came from, so its own type is nobody's business.
AnyStages: TypeAlias = Stages[Any]
AnyGivenStages: TypeAlias = GivenStages[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A pipeline and how much it knows.

    Args:
        stages: The pipeline.
        n_entities: Entities of its knowledge base.
        n_relations: Relations of its knowledge base.
        given: The pipeline again, where it takes mentions; None where it finds them itself.
    """

    stages: AnyStages
    n_entities: int
    n_relations: int
    given: AnyGivenStages | None = None
