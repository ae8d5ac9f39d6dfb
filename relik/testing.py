"""Deterministic fakes of pipeline, knowledge base and encoder for tests, part of the public API."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

import numpy as np

from relik.evaluation.baseline import AliasBaseline, Facts
from relik.names.language import DEFAULT_LANGUAGE, open_language
from relik.names.normalise import is_cased, normalise
from relik.names.resolve import NamePolicy
from relik.names.trie import CASED, PRIMARY, NameMatch
from relik.types import (
    AnnotateOptions,
    Annotation,
    Candidate,
    Coverage,
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

_CAPITALISED = re.compile(r"[A-Z]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeView:
    """The view of a `FakePipeline`: every capitalised word is an entity, `<prefix>:<word>`."""

    version: str = "fake-1"
    prefix: str = "E"

    def entity(self, entity_id: str) -> Entity | None:
        """Return the entity of an id that starts with the prefix, else None."""
        if not entity_id.startswith(f"{self.prefix}:"):
            return None
        name = entity_id.removeprefix(f"{self.prefix}:")
        return Entity(entity_id=entity_id, name=name, description=f"the word {name}")

    def relation(self, relation_id: str) -> Relation | None:
        """Return the relation `R:follows`, or None for any other id."""
        known = relation_id == "R:follows"
        return Relation(relation_id="R:follows", name="follows") if known else None


class FakePipeline:
    """A pipeline without a model: every capitalised word is a mention of the entity of that name.

    Each mention has the relation `follows` to the one before it in its window. Windows do not
    overlap. Ids are those of the view; the only relation is `R:follows`.
    """

    model = "fake"

    def __init__(self, *, window_words: int = 8) -> None:
        self.view = FakeView()
        self._words = re.compile(rf"\S+(?:\s+\S+){{0,{window_words - 1}}}")

    def split(self, document: Document) -> list[Window]:
        """Cut a document every `window_words` words."""
        return [
            Window(
                doc_id=document.doc_id,
                index=index,
                span=Span(found.start(), found.end()),
                text=found.group(),
            )
            for index, found in enumerate(self._words.finditer(document.text))
        ]

    def count_tokens(self, window: Window) -> int:
        """Count the words of a window."""
        return len(window.text.split())

    def retrieve(
        self, windows: Sequence[Window], *, options: AnnotateOptions, view: FakeView | None = None
    ) -> list[WindowCandidates]:
        """Propose the entity of every capitalised word, `top_k` at most."""
        prefix = (view or self.view).prefix
        return [
            WindowCandidates(
                entities=tuple(
                    Candidate(entity_id=f"{prefix}:{word}", score=1.0, rank=rank, source="lexical")
                    for rank, word in enumerate(
                        sorted(set(_CAPITALISED.findall(window.text)))[: options.top_k]
                    )
                )
            )
            for window in windows
        ]

    def read(
        self,
        windows: Sequence[Window],
        candidates: Sequence[WindowCandidates],
        *,
        options: AnnotateOptions,
        view: FakeView | None = None,
    ) -> list[WindowAnnotation]:
        """Link every capitalised word to its candidate, else to NIL."""
        prefix = (view or self.view).prefix
        return [
            _read_window(window, found, prefix, options)
            for window, found in zip(windows, candidates, strict=True)
        ]

    def merge(
        self,
        document: Document,
        window_annotations: Sequence[WindowAnnotation],
        *,
        options: AnnotateOptions,
        view: FakeView | None = None,
    ) -> Annotation:
        """Join the windows of a document; without entities, only the ends of triples stay."""
        triples = tuple(triple for each in window_annotations for triple in each.triples)
        ends = {end for triple in triples for end in (triple.subject, triple.object)}
        return Annotation(
            doc_id=document.doc_id,
            spans=tuple(
                found
                for each in window_annotations
                for found in each.spans
                if options.entities or found.span in ends
            ),
            triples=triples,
            coverage=Coverage(
                characters=len(document.text), windows=len(window_annotations), truncated=False
            ),
        )

    def annotate(
        self, documents: Sequence[Document], *, options: AnnotateOptions | None = None
    ) -> list[Annotation]:
        """Annotate documents, one after the other."""
        chosen = AnnotateOptions() if options is None else options
        answers = []
        for document in documents:
            windows = self.split(document)
            candidates = self.retrieve(windows, options=chosen)
            found = self.read(windows, candidates, options=chosen)
            answers.append(self.merge(document, found, options=chosen))
        return answers


def _read_window(
    window: Window, candidates: WindowCandidates, prefix: str, options: AnnotateOptions
) -> WindowAnnotation:
    known = {candidate.entity_id for candidate in candidates.entities}
    spans = [
        EntitySpan(
            span=Span(window.span.start + found.start(), window.span.start + found.end()),
            entity_id=entity_id if (entity_id := f"{prefix}:{found.group()}") in known else None,
            score=0.87654321,
            candidates=candidates.entities if options.explain else (),
        )
        for found in _CAPITALISED.finditer(window.text)
    ]
    triples = [
        Triple(subject=later.span, relation_id="R:follows", object=earlier.span, score=0.5)
        for earlier, later in pairwise(spans)
    ]
    return WindowAnnotation(
        window=window,
        spans=tuple(spans),
        triples=tuple(triples) if options.relations else (),
    )


class FakeNames:
    """A name trie on a dict of records by normalised name."""

    def __init__(self, matches: Mapping[str, Sequence[NameMatch]]) -> None:
        self._matches = matches

    def lookup(self, key: str) -> list[NameMatch]:
        """Return the records of a normalised name, the most frequent first."""
        return sorted(self._matches.get(key, ()), key=lambda match: (-match.count, match.row))

    def has_prefix(self, prefix: str) -> bool:
        """Tell whether some normalised name starts with a prefix."""
        return any(key.startswith(prefix) for key in self._matches)

    def continuations(self, prefix: str) -> list[str]:
        """Return the rest of each key after a prefix, sorted."""
        return sorted(key.removeprefix(prefix) for key in self._matches if key.startswith(prefix))


class FakeKnowledgeBase:
    """A knowledge base in memory.

    Args:
        entities: Records in the order of their rows.
        counts: Uses by (surface form, id); 1 for names and aliases that are not in it.
        any_case: Whether its names are terms, which text writes in lower case.
        language: ISO 639 code of the language of its names.
    """

    def __init__(
        self,
        entities: Sequence[Entity],
        *,
        counts: Mapping[tuple[str, str], int] | None = None,
        any_case: bool = False,
        language: str = DEFAULT_LANGUAGE,
    ) -> None:
        self.any_case = any_case
        self.policy = NamePolicy(language=open_language(language), terms=any_case)
        self._entities = tuple(entities)
        self._rows = {entity.entity_id: row for row, entity in enumerate(entities)}
        self._counts = counts or {}
        matches: defaultdict[str, list[NameMatch]] = defaultdict(list)
        for row, entity in enumerate(entities):
            for surface in (entity.name, *entity.aliases):
                flags = CASED * (is_cased(surface) and not any_case) + PRIMARY * (
                    surface == entity.name
                )
                count = self._counts.get((surface, entity.entity_id), 1)
                matches[normalise(surface)].append(NameMatch(row, count, flags))
        self.names = FakeNames(matches)

    def __len__(self) -> int:
        return len(self._entities)

    def __contains__(self, entity_id: object) -> bool:
        return entity_id in self._rows

    def row_of(self, entity_id: str) -> int | None:
        """Return the row of an id, or None."""
        return self._rows.get(entity_id)

    def entity_id(self, row: int) -> str:
        """Return the id of a row."""
        return self._entities[row].entity_id

    def record(self, row: int) -> Entity:
        """Return the record of a row."""
        return self._entities[row]

    def count(self, row: int) -> int:
        """Return how often a record is linked."""
        entity_id = self.entity_id(row)
        return sum(count for (_, named), count in self._counts.items() if named == entity_id)


class FakeNamePipeline(AliasBaseline):
    """A pipeline that links aliases and finds known triples between linked mentions.

    Args:
        facts: Relation ids by (subject id, object id), found where a window names both.
    """

    def __init__(
        self,
        entities: Sequence[Entity],
        *,
        relations: Sequence[Relation] = (),
        facts: Facts | None = None,
    ) -> None:
        self.model = "fake"
        self.kb_version = "fake-1"
        self.entities = FakeKnowledgeBase(entities)
        self._relations = {relation.relation_id: relation for relation in relations}
        super().__init__(self.entities, facts=facts)

    def entity(self, entity_id: str) -> Entity | None:
        """Return an entity, or None."""
        row = self.entities.row_of(entity_id)
        return None if row is None else self.entities.record(row)

    def relation(self, relation_id: str) -> Relation | None:
        """Return a relation, or None."""
        return self._relations.get(relation_id)


class HashEncoder:
    """An encoder without a model: a vector counts the hashed character trigrams of a text."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Encode texts, each alone: float32, (n_texts, dim), L2-normalised."""
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            padded = f"  {text.casefold()} "
            for start in range(len(padded) - 2):
                digest = crc32(padded[start : start + 3].encode("utf-8", "surrogatepass"))
                vector[digest % self.dim] += 1.0 if digest & 0x80000000 else -1.0
            if not vector.any():
                vector[0] = 1.0
            vector /= np.linalg.norm(vector)
        return vectors
