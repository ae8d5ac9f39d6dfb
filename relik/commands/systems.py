"""What `relik evaluate` opens: a pipeline, or the retriever of a bundle without a reader."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from relik import windows as windowing
from relik.bundle import Bundle, open_bundle
from relik.config import PipelineConfig
from relik.errors import ConfigError
from relik.kb import KnowledgeBase
from relik.layout import LAYOUT
from relik.pipeline import Pipeline
from relik.retriever.window_retriever import open_retrievers
from relik.types import (
    AnnotateOptions,
    Annotation,
    Document,
    Relation,
    Span,
    Window,
    WindowCandidates,
)


class BaseRetriever:
    """The retriever of a bundle without a reader, as `relik train retriever` writes it.

    Args:
        entities: Knowledge index in place of the bundle's own.
    """

    def __init__(self, bundle: Bundle, backend: str, *, entities: Path | None) -> None:
        folder = entities or bundle.path / LAYOUT.entities
        bundle.check_index(folder)
        self._bundle = bundle
        self._entities = KnowledgeBase.open(folder)
        self._retriever, _ = open_retrievers(
            bundle.path,
            backend,
            config=bundle.config.retriever,
            knowledge=(self._entities, KnowledgeBase.open(bundle.path / LAYOUT.relations)),
        )

    @property
    def config(self) -> PipelineConfig:
        """Settings of the bundle."""
        return self._bundle.config

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._bundle.config.model

    @property
    def entities(self) -> KnowledgeBase:
        """Knowledge base of entities."""
        return self._entities

    @property
    def kb_version(self) -> str:
        """Version of the knowledge base of entities."""
        return self._entities.version

    def relation(self, relation_id: str) -> Relation | None:
        """Return None, since a bundle without a reader has no relations."""
        return None

    def split(self, document: Document) -> list[Window]:
        """Cut a document into windows.

        Raises:
            InputError: The text has half of a surrogate pair.
        """
        windowing.check_text(document)
        return windowing.split(document, self.config.windows)

    def retrieve(
        self, windows: Sequence[Window], *, options: AnnotateOptions
    ) -> list[WindowCandidates]:
        """Propose entities for each window.

        Args:
            windows: Windows of one document must follow each other in order.
        """
        top_k = options.top_k or self.config.retriever.entity_top_k
        found = self._retriever.retrieve_encoded(
            windows, self._retriever.encode(windows), top_k=top_k
        )
        return [WindowCandidates(entities=each, relations=()) for each in found]

    def annotate(
        self, documents: Sequence[Document], *, options: AnnotateOptions
    ) -> list[Annotation]:
        """Refuse, since there is no reader.

        Raises:
            ConfigError: Always.
        """
        raise self._no_reader()

    def link(
        self,
        documents: Sequence[Document],
        mentions: Sequence[Sequence[Span]],
        *,
        options: AnnotateOptions,
    ) -> list[Annotation]:
        """Refuse, since there is no reader.

        Raises:
            ConfigError: Always.
        """
        raise self._no_reader()

    def _no_reader(self) -> ConfigError:
        return ConfigError(
            f"{self._bundle.path}: has no reader, expected one: use `relik evaluate retrieval`, or "
            "train a reader"
        )


def open_measured(
    name: str, backend: str, *, entities: Path | None, dense_only: bool
) -> Pipeline | BaseRetriever:
    """Open a bundle for evaluation: its pipeline, or its retriever where it has no reader.

    Raises:
        BundleError: The bundle cannot be used.
        ConfigError: There is no such backend, or it is not installed.
    """
    bundle = open_bundle(name)
    if dense_only:
        dense = bundle.config.retriever.dense_only()
        bundle = replace(bundle, config=replace(bundle.config, retriever=dense))
    if f"{LAYOUT.reader}/{LAYOUT.config}" not in bundle.manifest.files:
        return BaseRetriever(bundle, backend, entities=entities)
    return bundle.pipeline(backend, entities=entities)
