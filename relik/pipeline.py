"""Text in, annotations out: split, retrieve, read, merge."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from relik import windows as windowing
from relik.config import PipelineConfig
from relik.document.abbreviations import with_abbreviations
from relik.document.consistency import refined
from relik.document.mention_reading import merge_given, read_given
from relik.document.term_consistency import with_document
from relik.errors import InputError
from relik.kb import KnowledgeBase
from relik.reader.reader import TransformerReader
from relik.retriever.window_retriever import WindowRetriever
from relik.types import (
    AnnotateOptions,
    Annotation,
    Candidate,
    Document,
    Entity,
    Relation,
    Span,
    Window,
    WindowAnnotation,
    WindowCandidates,
)

TYPED_FACTOR = 8
"""How many more candidates are retrieved where only some types may stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineParts:
    """What a pipeline is made of.

    Args:
        entity_retriever: Proposes entities.
        relation_retriever: Proposes relations.
        reader: Reads windows with candidates.
        entities: Knowledge base of entities.
        relations: Knowledge base of relations.
    """

    entity_retriever: WindowRetriever
    relation_retriever: WindowRetriever
    reader: TransformerReader
    entities: KnowledgeBase
    relations: KnowledgeBase


class Pipeline:
    """Annotates documents; keeps nothing between calls.

    Args:
        parts: Its stages.
        config: Settings of the bundle.
    """

    def __init__(self, parts: PipelineParts, config: PipelineConfig) -> None:
        self._parts = parts
        self._config = config
        self._refine = partial(refined, kb=parts.entities, config=config.reader, rules=config.rules)

    @property
    def model(self) -> str:
        """Name of the model that makes the answers."""
        return self._config.model

    @property
    def kb_version(self) -> str:
        """Version of the knowledge base of entities."""
        return self._parts.entities.version

    @property
    def entities(self) -> KnowledgeBase:
        """Knowledge base of entities."""
        return self._parts.entities

    @property
    def relations(self) -> KnowledgeBase:
        """Knowledge base of relations."""
        return self._parts.relations

    @property
    def config(self) -> PipelineConfig:
        """Settings."""
        return self._config

    def annotate(
        self,
        documents: Sequence[Document],
        *,
        options: AnnotateOptions = AnnotateOptions(),  # noqa: B008  # frozen, so sharing is safe
    ) -> list[Annotation]:
        """Annotate documents; each answer depends on its document alone.

        Args:
            documents: Documents.
            options: Tasks, thresholds, candidates.

        Returns:
            One annotation a document, same order.

        Raises:
            InputError: A text has half of a surrogate pair, or an option is out of range.
        """
        split = [self.split(document) for document in documents]
        flat = [window for windows in split for window in windows]
        candidates = self.retrieve(flat, options=options)
        read = iter(self.read(flat, candidates, options=options))
        return [
            self.merge(document, [next(read) for _ in windows], options=options)
            for document, windows in zip(documents, split, strict=True)
        ]

    def link(
        self,
        documents: Sequence[Document],
        mentions: Sequence[Sequence[Span]],
        *,
        options: AnnotateOptions = AnnotateOptions(),  # noqa: B008  # frozen, so sharing is safe
    ) -> list[Annotation]:
        """Link mentions that are given, and relate them where triples are asked for.

        Args:
            documents: Documents.
            mentions: Spans of each document, none overlapping.
            options: With `nil`, a mention may be linked to nothing; `threshold` does not apply.

        Returns:
            One annotation a document, with exactly its mentions. One longer than a window is
            linked by the part that the window has; one of nothing but white space, or without
            any candidate, is linked to nothing.

        Raises:
            InputError: A mention reaches past the end of its text or overlaps another, a text
                has half of a surrogate pair, or an option is out of range.
        """
        if len(documents) != len(mentions):
            raise InputError(
                f"got mentions of {len(mentions)} documents, expected {len(documents)}: "
                "give a list for each document, empty where it has none"
            )
        split = [self.split(document) for document in documents]
        placed: list[Sequence[Span] | None] = []
        for document, windows, given in zip(documents, split, mentions, strict=True):
            placed.extend(windowing.place_mentions(document, windows, given))
        flat = [window for windows in split for window in windows]
        candidates = self.retrieve(flat, options=options)
        read = iter(self.read(flat, candidates, options=options, mentions=placed))
        return [
            self.merge(document, [next(read) for _ in windows], options=options, mentions=given)
            for document, windows, given in zip(documents, split, mentions, strict=True)
        ]

    def split(self, document: Document) -> list[Window]:
        """Cut a document into windows that the reader can read whole.

        Args:
            document: A document.

        Returns:
            Windows in order; none for blank text.

        Raises:
            InputError: The text has half of a surrogate pair.
        """
        windowing.check_text(document)
        fitting = self._fitted(document, windowing.split(document, self._config.windows))
        return [replace(window, index=i) for i, window in enumerate(fitting)]

    def count_tokens(self, window: Window) -> int:
        """Estimate what a window costs the reader.

        Args:
            window: A window.

        Returns:
            Tokens of text and candidates, roughly.
        """
        config = self._config.retriever
        return len(window.text) // 4 + 9 * config.entity_top_k + 5 * config.relation_top_k

    def retrieve(
        self, windows: Sequence[Window], *, options: AnnotateOptions
    ) -> list[WindowCandidates]:
        """Propose entities, and relations where triples are asked for.

        Args:
            windows: Windows; those of one document stand together, in order.
            options: `top_k`, `types` and tasks.

        Returns:
            Candidates of each window, same order.

        Raises:
            InputError: `top_k` is below 1, or a threshold is not from 0 to 1.
        """
        _check_options(options)
        top_k = self._config.retriever.entity_top_k if options.top_k is None else options.top_k
        if not windows:
            return []
        parts = self._parts
        vectors = parts.entity_retriever.encode(windows)
        wide = top_k * TYPED_FACTOR if options.types else top_k
        entities = parts.entity_retriever.retrieve_encoded(windows, vectors, top_k=wide)
        if options.types:
            entities = [self._of_types(found, options.types, top_k) for found in entities]
        relations: list[tuple[Candidate, ...]] = [() for _ in windows]
        if options.relations and len(parts.relations):
            relations = parts.relation_retriever.retrieve_encoded(
                windows, vectors, top_k=self._config.retriever.relation_top_k
            )
        return [
            WindowCandidates(entities=found, relations=related)
            for found, related in zip(entities, relations, strict=True)
        ]

    def read(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        *,
        options: AnnotateOptions,
        mentions: Sequence[Sequence[Span] | None] | None = None,
    ) -> list[WindowAnnotation]:
        """Find, link and relate mentions.

        Args:
            windows: Windows.
            candidates: Candidates of each.
            options: Thresholds and tasks.
            mentions: Given mentions of each, of `relik.windows.place_mentions`; None where they
                are to be found.

        Returns:
            One annotation a window, same order.
        """
        reader, entities, config = self._parts.reader, self._parts.entities, self._config.reader
        return read_given(
            reader, entities, windows, candidates, mentions, config=config, options=options
        )

    def merge(
        self,
        document: Document,
        window_annotations: Sequence[WindowAnnotation],
        *,
        options: AnnotateOptions,
        mentions: Sequence[Span] | None = None,
    ) -> Annotation:
        """Join what was read in the windows of a document.

        Mentions that are linked to nothing are kept where they were given or asked for, and
        where a triple ends in them. Without the task of entities only the ends of triples are
        kept.

        Args:
            document: The document.
            window_annotations: What was read.
            options: Tasks and `nil`.
            mentions: Its mentions, where they were given.

        Returns:
            The answer.
        """
        if mentions is not None:
            return merge_given(
                document, window_annotations, mentions, options=options, refine=self._refine
            )
        merged = windowing.merge(document, window_annotations, nil=True)
        if self.entities.any_case:  # a list of terms, which texts abbreviate
            merged = with_abbreviations(merged, document.text)
            merged = with_document(merged, document.text, self.entities)
        merged = self._refine(merged, document.text)
        ends = {end for triple in merged.triples for end in (triple.subject, triple.object)}
        spans = tuple(
            found
            for found in merged.spans
            if found.span in ends
            or (options.entities and (options.nil or found.entity_id is not None))
        )
        return replace(merged, spans=spans)

    def entity(self, entity_id: str) -> Entity | None:
        """Return an entity.

        Args:
            entity_id: Its id.

        Returns:
            The record, or None where the id is unknown.
        """
        row = self.entities.row_of(entity_id)
        return None if row is None else self.entities.record(row)

    def relation(self, relation_id: str) -> Relation | None:
        """Return a relation.

        Args:
            relation_id: Its id.

        Returns:
            The record, or None where the id is unknown.
        """
        if (row := self.relations.row_of(relation_id)) is None:
            return None
        one = self.relations.record(row)
        return Relation(relation_id=relation_id, name=one.name, description=one.description)

    def _of_types(
        self, found: tuple[Candidate, ...], types: tuple[str, ...], top_k: int
    ) -> tuple[Candidate, ...]:
        wanted = set(types)
        kept: list[Candidate] = []
        for candidate in found:
            if (entity := self.entity(candidate.entity_id)) and wanted & set(entity.types):
                kept.append(replace(candidate, rank=len(kept)))
        return tuple(kept[:top_k])

    def _fitted(self, document: Document, windows: list[Window]) -> list[Window]:
        """Halve windows until their tokens fit: few words can be very many tokens."""
        reader = self._parts.reader
        counts = reader.count_text_tokens([window.text for window in windows])
        fitting: list[Window] = []
        for window, count in zip(windows, counts, strict=True):
            if count <= reader.max_text_tokens or len(window.text) < 2:
                fitting.append(window)
            else:
                fitting.extend(self._fitted(document, [*windowing.halve(document, window)]))
        return fitting


def _check_options(options: AnnotateOptions) -> None:
    if options.top_k is not None and options.top_k < 1:
        raise InputError(f"got top_k {options.top_k}, expected at least 1: raise or omit it")
    for name in ("threshold", "relation_threshold"):
        value = getattr(options, name)
        if value is not None and not 0 <= value <= 1:
            raise InputError(f"got {name} {value}, expected 0 to 1: change it or leave it out")
