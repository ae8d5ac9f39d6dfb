"""Text in, annotations out: split, retrieve, read, merge."""

from collections.abc import Sequence
from dataclasses import replace

from relik import windows as windowing
from relik.config import PipelineConfig
from relik.document.abbreviations import with_abbreviations
from relik.document.consistency import refined
from relik.document.mention_reading import read_given, with_blank_mentions
from relik.document.term_consistency import with_document
from relik.errors import ConfigError, InputError
from relik.kb.view import KnowledgeView
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


class Pipeline:
    """Annotates documents; keeps nothing between calls.

    Each step takes the knowledge view that it works from; without one it takes the view that the
    pipeline was opened with.

    Attributes:
        model: Name of the model that makes the answers.
        kb_version: Version of the view.
        entities: Knowledge base of entities of the view.
        relations: Knowledge base of relations of the view.

    Args:
        retriever: Proposes entities and relations.
        reader: Reads windows with candidates; None in a bundle whose reader is not trained yet.
        config: Settings of the bundle.
        view: The view that it was opened with.
    """

    def __init__(
        self,
        retriever: WindowRetriever,
        reader: TransformerReader | None,
        config: PipelineConfig,
        view: KnowledgeView,
    ) -> None:
        self._retriever = retriever
        self._reader = reader
        self.config = config
        self.view = view
        self.model = config.model
        self.kb_version = view.version
        self.entities = view.entities
        self.relations = view.relations

    def annotate(
        self,
        documents: Sequence[Document],
        *,
        options: AnnotateOptions = AnnotateOptions(),  # noqa: B008  # frozen, so sharing is safe
        view: KnowledgeView | None = None,
    ) -> list[Annotation]:
        """Annotate documents; each answer depends on its document alone.

        Returns:
            One annotation a document, same order.

        Raises:
            InputError: A text has half of a surrogate pair, or an option is out of range.
            ConfigError: The bundle has no reader.
        """
        return self._annotated(documents, [None] * len(documents), options, view)

    def link(
        self,
        documents: Sequence[Document],
        mentions: Sequence[Sequence[Span]],
        *,
        options: AnnotateOptions = AnnotateOptions(),  # noqa: B008  # frozen, so sharing is safe
        view: KnowledgeView | None = None,
    ) -> list[Annotation]:
        """Link given mentions, and relate them where triples are asked for.

        Args:
            documents: Documents.
            mentions: Spans of each document, none overlapping.
            options: With `nil`, a mention may be NIL; `threshold` does not apply.
            view: Knowledge to link to.

        Returns:
            One annotation a document, with exactly its mentions. One longer than a window is
            linked by the part that the window has; one of nothing but white space, or without
            any candidate, is NIL.

        Raises:
            InputError: A mention reaches past the end of its text or overlaps another, a text
                has half of a surrogate pair, or an option is out of range.
            ConfigError: The bundle has no reader.
        """
        if len(documents) != len(mentions):
            raise InputError(
                f"got mentions of {len(mentions)} documents, expected {len(documents)}: "
                "give a list for each document, empty where it has none"
            )
        return self._annotated(documents, mentions, options, view)

    def _annotated(
        self,
        documents: Sequence[Document],
        mentions: Sequence[Sequence[Span] | None],
        options: AnnotateOptions,
        view: KnowledgeView | None,
    ) -> list[Annotation]:
        split = [self.split(document) for document in documents]
        placed: list[Sequence[Span] | None] = []
        for document, windows, given in zip(documents, split, mentions, strict=True):
            if given is None:
                placed.extend([None] * len(windows))
            else:
                placed.extend(windowing.place_mentions(document, windows, given))
        flat = [window for windows in split for window in windows]
        candidates = self.retrieve(flat, options=options, view=view)
        read = iter(self.read(flat, candidates, options=options, mentions=placed, view=view))
        return [
            self.merge(
                document,
                [next(read) for _ in windows],
                options=options,
                mentions=given,
                view=view,
            )
            for document, windows, given in zip(documents, split, mentions, strict=True)
        ]

    def split(self, document: Document) -> list[Window]:
        """Cut a document into windows that the reader can read whole.

        Returns:
            Windows in order; none for blank text.

        Raises:
            InputError: The text has half of a surrogate pair.
        """
        windowing.check_text(document)
        windows = windowing.split(document, self.config.windows)
        if self._reader is not None:
            windows = _fitted(document, windows, self._reader)
        return [replace(window, index=i) for i, window in enumerate(windows)]

    def count_tokens(self, window: Window) -> int:
        """Estimate the tokens of text and candidates that the reader gets for a window."""
        config = self.config.retriever
        return len(window.text) // 4 + 9 * config.entity_top_k + 5 * config.relation_top_k

    def retrieve(
        self,
        windows: Sequence[Window],
        *,
        options: AnnotateOptions,
        view: KnowledgeView | None = None,
    ) -> list[WindowCandidates]:
        """Propose entities, and relations where triples are asked for.

        Args:
            windows: Windows; those of one document stand together, in order.
            options: `top_k`, `types` and tasks.
            view: Knowledge to propose from.

        Returns:
            Candidates of each window, same order.

        Raises:
            InputError: `top_k` is below 1, or a threshold is not from 0 to 1.
        """
        _check_options(options)
        view = view or self.view
        config = self.config.retriever
        top_k = config.entity_top_k if options.top_k is None else options.top_k
        wide = top_k * TYPED_FACTOR if options.types else top_k
        relation_top_k = config.relation_top_k if options.relations else 0
        entities, relations = self._retriever.retrieve(windows, view, top_k=(wide, relation_top_k))
        if options.types:
            entities = [_of_types(found, options.types, top_k, view) for found in entities]
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
        view: KnowledgeView | None = None,
    ) -> list[WindowAnnotation]:
        """Find, link and relate mentions.

        Args:
            windows: Windows.
            candidates: Candidates of each, from the same view.
            options: Thresholds and tasks.
            mentions: Given mentions of each, of `relik.windows.place_mentions`; None where they
                are to be found.
            view: Knowledge that the candidates are from.

        Returns:
            One annotation a window, same order.

        Raises:
            ConfigError: The bundle has no reader.
        """
        reader = self._reader
        if reader is None:
            raise ConfigError(
                f"{self.model}: got a bundle without a reader, expected one: measure it by "
                "`relik evaluate retrieval`, or train its reader"
            )
        return read_given(
            reader,
            view or self.view,
            windows,
            candidates,
            mentions,
            config=self.config.reader,
            options=options,
        )

    def merge(
        self,
        document: Document,
        window_annotations: Sequence[WindowAnnotation],
        *,
        options: AnnotateOptions,
        mentions: Sequence[Span] | None = None,
        view: KnowledgeView | None = None,
    ) -> Annotation:
        """Join what was read in the windows of a document.

        NIL mentions are kept where they were given or asked for, and where a triple ends in them.
        Without the task of entities only the ends of triples are kept.

        Args:
            document: The document.
            window_annotations: What was read.
            options: Tasks and `nil`.
            mentions: Its mentions, where they were given.
            view: Knowledge that was read with.
        """
        entities = (view or self.view).entities
        merged = windowing.merge(document, window_annotations, nil=True)
        if mentions is None and entities.any_case:  # a list of terms, which texts abbreviate
            merged = with_abbreviations(merged, document.text)
            merged = with_document(merged, document.text, entities)
        merged = refined(merged, document.text, kb=entities, config=self.config)
        if mentions is not None:
            merged = with_blank_mentions(merged, document, mentions)
        ends = {end for triple in merged.triples for end in (triple.subject, triple.object)}
        nil = options.nil or mentions is not None
        spans = tuple(
            found
            for found in merged.spans
            if found.span in ends or (options.entities and (nil or found.entity_id is not None))
        )
        return replace(merged, spans=spans)

    def entity(self, entity_id: str) -> Entity | None:
        """Return an entity of the pipeline's own view, or None where the id is unknown."""
        return self.view.entity(entity_id)

    def relation(self, relation_id: str) -> Relation | None:
        """Return a relation of the pipeline's own view, or None where the id is unknown."""
        return self.view.relation(relation_id)


def _of_types(
    found: tuple[Candidate, ...], types: tuple[str, ...], top_k: int, view: KnowledgeView
) -> tuple[Candidate, ...]:
    wanted = set(types)
    kept: list[Candidate] = []
    for candidate in found:
        if (entity := view.entity(candidate.entity_id)) and wanted & set(entity.types):
            kept.append(replace(candidate, rank=len(kept)))
    return tuple(kept[:top_k])


def _fitted(document: Document, windows: list[Window], reader: TransformerReader) -> list[Window]:
    """Halve windows until their tokens fit: few words can be very many tokens."""
    counts = reader.count_text_tokens([window.text for window in windows])
    fitting: list[Window] = []
    for window, count in zip(windows, counts, strict=True):
        if count <= reader.max_text_tokens or len(window.text) < 2:
            fitting.append(window)
        else:
            fitting.extend(_fitted(document, [*windowing.halve(document, window)], reader))
    return fitting


def _check_options(options: AnnotateOptions) -> None:
    if options.top_k is not None and options.top_k < 1:
        raise InputError(f"got top_k {options.top_k}, expected at least 1: raise or omit it")
    for name in ("threshold", "relation_threshold"):
        value = getattr(options, name)
        if value is not None and not 0 <= value <= 1:
            raise InputError(f"got {name} {value}, expected 0 to 1: change it or leave it out")
