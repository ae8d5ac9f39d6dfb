"""A released pipeline with the four steps of `relik.pipeline.Pipeline`, for server and commands.

It splits, retrieves and reads as `relik.Relik` does without quirks, with the types of
`relik.types`. Ids are those of documents, as text; labels are their texts.
"""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, Union

from relik import windows as windowing
from relik.errors import InputError, TextTooLongError
from relik.types import (
    AnnotateOptions,
    Annotation,
    Candidate,
    Document,
    Entity,
    EntitySpan,
    FloatArray,
    Relation,
    Span,
    Triple,
    Window,
    WindowAnnotation,
    WindowCandidates,
)
from relik.upstream.bundle.converted_documents import split_document
from relik.upstream.bundle.word_windows import upstream_window, word_windows
from relik.upstream.checkpoint.settings import PipelineSettings, Task
from relik.upstream.dropin.options import CallOptions
from relik.upstream.index.documents import Document as IndexDocument
from relik.upstream.index.documents import candidate_text
from relik.upstream.reader.fitting import WindowBatch, read_fitting
from relik.upstream.reader.predictions import WindowPrediction
from relik.upstream.reader.released_reader import ReadOptions
from relik.upstream.text.subwords import NME

if TYPE_CHECKING:
    from relik.upstream.bundle.converted_index import ConvertedIndex
    from relik.upstream.bundle.released_parts import Parts
    from relik.upstream.index.document_index import DocumentIndex
    from relik.upstream.reader.released_reader import UpstreamReader


Index: TypeAlias = Union["DocumentIndex", "ConvertedIndex"]
"""A released or a converted index."""

_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_CANDIDATE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedView:
    """The indexes of a released pipeline, as the knowledge that a request is answered from.

    Args:
        indexes: Index of each task.
    """

    indexes: Mapping[Task, Index]

    @property
    def version(self) -> str:
        """Version of the index of entities; of relations, where there are no entities."""
        return next(iter(self.indexes.values())).version

    def entity(self, entity_id: str) -> Entity | None:
        """Return an entity, named by the text of a document and described by its definition."""
        document = self.document("span", entity_id)
        return None if document is None else split_document(document, entity_id)[0]

    def relation(self, relation_id: str) -> Relation | None:
        """Return a relation, or None for an unknown id."""
        document = self.document("triplet", relation_id)
        if document is None:
            return None
        record = split_document(document, relation_id)[0]
        return Relation(relation_id=relation_id, name=record.name, description=record.description)

    def document(self, task: Task, record_id: str) -> IndexDocument | None:
        """Return the document of an entity ("span") or relation ("triplet"), or None."""
        index = self.indexes.get(task)
        row = None if index is None else index.row_of(record_id)
        return None if index is None or row is None else index.documents[row]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedConfig:
    """Settings of a pipeline.

    Args:
        model: Name that is part of every answer.
        settings: Task, windows, candidates.
        max_length: Most subwords of text and candidates in a row.
        threshold: Least probability of a mention, 0..1.
        relation_threshold: Probability above which a triple is kept, 0..1; None uses that of the
            reader.
    """

    model: str
    settings: PipelineSettings
    max_length: int = 1000
    threshold: float = 0.0
    relation_threshold: float | None = None


class ReleasedPipeline:
    """Annotates documents, without state between calls.

    One thread may call `retrieve` while another calls `read`. Each step takes the view that it
    works from; without one it takes the view that the pipeline was opened with.

    Args:
        parts: Encoders by task, which both may share, and the reader.
        view: The indexes; the only view of requests without one.
    """

    def __init__(self, parts: "Parts", config: ReleasedConfig, view: ReleasedView) -> None:
        assert parts.reader is not None  # noqa: S101  # checked by those who open them, for mypy
        self._parts = parts
        self._reader: UpstreamReader = parts.reader.value
        self._config = config
        self.model = config.model
        self.view = view
        self._task = config.settings.task
        self._windowing = CallOptions().windowing(config.settings)

    @property
    def kb_version(self) -> str:
        """Version of the default view."""
        return self.view.version

    @property
    def entities(self) -> Sized:
        """Its entities, to be counted."""
        return self.view.indexes.get("span", ())

    @property
    def relations(self) -> Sized:
        """Its relations, to be counted."""
        return self.view.indexes.get("triplet", ())

    def annotate(
        self,
        documents: Sequence[Document],
        *,
        options: AnnotateOptions = AnnotateOptions(),  # noqa: B008  # frozen, so sharing is safe
    ) -> list[Annotation]:
        """Annotate documents, each independently of the others.

        Raises:
            InputError: A text has half of a surrogate pair, or an option is out of range or not
                supported by released pipelines.
        """
        windows = [self.split(document) for document in documents]
        flat = [window for own in windows for window in own]
        read = iter(self.read(flat, self.retrieve(flat, options=options), options=options))
        return [
            self.merge(document, [next(read) for _ in own], options=options)
            for document, own in zip(documents, windows, strict=True)
        ]

    def split(self, document: Document) -> list[Window]:
        """Cut a document into windows; none for a text without tokens.

        Raises:
            InputError: The text has half of a surrogate pair.
            ConfigError: The word tokenizer is spaCy, which is not installed.
        """
        windowing.check_text(document)
        return [*word_windows(document, self._windowing, self._parts.word_tokenizer)]

    def count_tokens(self, window: Window) -> int:
        """Estimate the tokens of the reader's row for a window."""
        top_k = self._config.settings.top_k
        candidates = sum(min(top_k, len(index)) for index in self.view.indexes.values())
        return len(window.text) // _CHARACTERS_PER_TOKEN + _TOKENS_PER_CANDIDATE * candidates

    def retrieve(
        self,
        windows: Sequence[Window],
        *,
        options: AnnotateOptions,
        view: ReleasedView | None = None,
    ) -> list[WindowCandidates]:
        """Propose the entities and relations that the options ask for.

        Returns:
            Candidates of each window; the best of a window has score 1, the last 0, and ties keep
            the order of rows.

        Raises:
            InputError: An option is out of range or not supported by released pipelines.
        """
        _check_options(options)
        indexes = (view or self.view).indexes
        wanted = [
            task
            for task in (indexes if self._has_answer(options) else ())
            if task == "span" or options.relations
        ]
        top_k = self._config.settings.top_k if options.top_k is None else options.top_k
        vectors: dict[int, FloatArray] = {}
        found: dict[Task, list[tuple[Candidate, ...]]] = {}
        for task in wanted if windows else ():
            encoder, index = self._parts.retriever[task].value, indexes[task]
            # One encoder may serve both tasks: it encodes the windows once.
            if id(encoder) not in vectors:
                vectors[id(encoder)] = encoder.encode([window.text for window in windows])
            lines = index.find(vectors[id(encoder)], top_k=top_k)
            found[task] = [_candidates(line, index) for line in lines]
        nothing: list[tuple[Candidate, ...]] = [()] * len(windows)
        pairs = zip(found.get("span", nothing), found.get("triplet", nothing), strict=True)
        return [WindowCandidates(entities=span, relations=triplet) for span, triplet in pairs]

    def read(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        *,
        options: AnnotateOptions,
        view: ReleasedView | None = None,
    ) -> list[WindowAnnotation]:
        """Find, link and relate mentions.

        Returns:
            An annotation for each window; empty and `truncated` where a single word is too long
            for the reader.
        """
        if not self._has_answer(options):
            return [WindowAnnotation(window=window, spans=(), triples=()) for window in windows]
        view = view or self.view
        named = [
            (
                self._ids_by_text("span", one.entities, view),
                self._ids_by_text("triplet", one.relations, view),
            )
            for one in candidates
        ]
        task = self._task
        batch = WindowBatch(
            windows=[upstream_window(window, self._parts.word_tokenizer) for window in windows],
            span_candidates=None if task == "triplet" else [list(spans) for spans, _ in named],
            triplet_candidates=None if task == "span" else [list(rest) for _, rest in named],
            mentions=None,
        )
        threshold = options.relation_threshold
        reading = ReadOptions(
            relation_threshold=self._config.relation_threshold if threshold is None else threshold,
            remove_nmes=False,
            max_length=self._config.max_length,
        )
        predictions = self._predict(batch, reading)
        return [
            self._annotation(window, prediction, names, options)
            for window, prediction, names in zip(windows, predictions, named, strict=True)
        ]

    def merge(
        self,
        document: Document,
        window_annotations: Sequence[WindowAnnotation],
        *,
        options: AnnotateOptions,
        view: ReleasedView | None = None,
    ) -> Annotation:
        """Merge the annotations of a document's windows.

        As in `relik.Relik`, a triple whose end lost to an overlapping mention moves to that
        mention, even if both are NIL.
        """
        merged = windowing.merge(document, [_with_nme(one) for one in window_annotations], nil=True)
        ends = {end for triple in merged.triples for end in (triple.subject, triple.object)}
        spans = tuple(
            replace(found, entity_id=None) if found.entity_id == NME else found
            for found in merged.spans
            if found.span in ends or (options.entities and (options.nil or found.entity_id != NME))
        )
        return replace(merged, spans=spans)

    def entity(self, entity_id: str) -> Entity | None:
        """Return an entity of the pipeline's own view, or None for an unknown id."""
        return self.view.entity(entity_id)

    def relation(self, relation_id: str) -> Relation | None:
        """Return a relation of the pipeline's own view, or None for an unknown id."""
        return self.view.relation(relation_id)

    def _has_answer(self, options: AnnotateOptions) -> bool:
        """Tell whether the pipeline can find anything that the options ask for."""
        entities = options.entities and (self._task != "triplet" or options.nil)
        return entities or (options.relations and self._task != "span")

    def _ids_by_text(
        self, task: Task, candidates: Sequence[Candidate], view: ReleasedView
    ) -> dict[str, str]:
        """Return ids by the text that the reader reads; of equal texts the better candidate."""
        names: dict[str, str] = {}
        for candidate in candidates:
            document = view.document(task, candidate.entity_id)
            if document is not None:
                text = candidate_text(document, self._config.settings.metadata_fields)
                names.setdefault(text, candidate.entity_id)
        return names

    def _predict(self, batch: WindowBatch, options: ReadOptions) -> list[WindowPrediction | None]:
        """Return the predictions of windows, None for a window that is too long."""
        try:
            return [*read_fitting(self._reader, batch, options)]
        except TextTooLongError:
            count = len(batch.windows)
            if count == 1:
                return [None]
            halves = batch.part(0, count // 2), batch.part(count // 2, count)
            return [found for half in halves for found in self._predict(half, options)]

    def _annotation(
        self,
        window: Window,
        prediction: WindowPrediction | None,
        names: tuple[dict[str, str], dict[str, str]],
        options: AnnotateOptions,
    ) -> WindowAnnotation:
        if prediction is None:
            return WindowAnnotation(window=window, spans=(), triples=(), truncated=True)
        entities, relations = names
        threshold = self._config.threshold if options.threshold is None else options.threshold
        spans = [
            EntitySpan(
                span=Span(found.start, found.end),
                entity_id=entities.get(found.label),
                score=found.probability,
                candidates=_scored_candidates(found.candidates, entities)
                if options.explain
                else (),
            )
            for found in prediction.spans
        ]
        triples = (
            Triple(
                subject=spans[found.subject].span,
                relation_id=relations[found.relation],
                object=spans[found.object].span,
                score=found.probability,
            )
            for found in prediction.triples
            if min(spans[found.subject].score, spans[found.object].score) >= threshold
        )
        return WindowAnnotation(
            window=window,
            spans=tuple(found for found in spans if found.score >= threshold),
            triples=tuple(triples) if options.relations else (),
        )


def _check_options(options: AnnotateOptions) -> None:
    if options.top_k is not None and options.top_k < 1:
        raise InputError(
            f"got top_k {options.top_k}, expected at least 1: raise it or leave it out"
        )
    for name in ("threshold", "relation_threshold"):
        value = getattr(options, name)
        if value is not None and not 0 <= value <= 1:
            raise InputError(f"got {name} {value}, expected 0 to 1: change it or leave it out")
    if options.types:
        raise InputError(
            f"got the types {', '.join(options.types)}, expected none, since the documents of a "
            "released pipeline have no types: leave them out"
        )
    if options.pretokenised:
        raise InputError(
            "got pretokenised, expected raw text, since released pipelines tokenize it: leave "
            "the option out"
        )


def _candidates(line: Sequence[tuple[int, float]], index: Index) -> tuple[Candidate, ...]:
    if not line:
        return ()
    # Inner products have no fixed scale.
    best, last = line[0][1], line[-1][1]
    spread = best - last if best > last else 1.0
    base = last if best > last else best - 1.0
    return tuple(
        Candidate(
            entity_id=index.entity_id(row),
            score=(score - base) / spread,
            rank=rank,
            source="dense",
        )
        for rank, (row, score) in enumerate(line)
    )


def _scored_candidates(
    candidates: Sequence[tuple[str, float]], entities: Mapping[str, str]
) -> tuple[Candidate, ...]:
    known = [(entities[label], score) for label, score in candidates if label in entities]
    return tuple(
        Candidate(entity_id=entity_id, score=score, rank=rank, source="dense")
        for rank, (entity_id, score) in enumerate(known)
    )


def _with_nme(one: WindowAnnotation) -> WindowAnnotation:
    spans = (replace(s, entity_id=NME) if s.entity_id is None else s for s in one.spans)
    return replace(one, spans=tuple(spans))
