"""Public fakes: deterministic, tiny, without models or files."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from relik.evaluation.baseline import AliasBaseline, Facts
from relik.kb.names import CASED, PRIMARY, NameMatch, is_cased, normalise
from relik.types import (
    AnnotateOptions,
    Annotation,
    Document,
    Entity,
    Relation,
    Span,
    Window,
    WindowCandidates,
)


class FakeNames:
    """Names in a dict, with the methods of `NameTrie`.

    Args:
        matches: Records by normalised name.
    """

    def __init__(self, matches: Mapping[str, Sequence[NameMatch]]) -> None:
        self._matches = matches

    def lookup(self, key: str) -> list[NameMatch]:
        """Return the records that have a normalised name, the most frequent first."""
        return sorted(self._matches.get(key, ()), key=lambda match: (-match.count, match.row))

    def has_prefix(self, prefix: str) -> bool:
        """Tell whether some normalised name begins so."""
        return any(key.startswith(prefix) for key in self._matches)


class FakeKnowledgeBase:
    """A knowledge base in memory.

    Args:
        entities: Its records, in the order of their rows.
        counts: How often a surface form means an id: 1 for names and aliases not given.
    """

    def __init__(
        self, entities: Sequence[Entity], *, counts: Mapping[tuple[str, str], int] | None = None
    ) -> None:
        self._entities = tuple(entities)
        self._rows = {entity.entity_id: row for row, entity in enumerate(entities)}
        self._counts = counts or {}
        matches: defaultdict[str, list[NameMatch]] = defaultdict(list)
        for row, entity in enumerate(entities):
            for surface in (entity.name, *entity.aliases):
                flags = CASED * is_cased(surface) + PRIMARY * (surface == entity.name)
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

    def entity(self, row: int) -> Entity:
        """Return the record of a row."""
        return self._entities[row]

    def count(self, row: int) -> int:
        """Return how often a record is linked."""
        entity_id = self.entity_id(row)
        return sum(count for (_, named), count in self._counts.items() if named == entity_id)


class FakePipeline:
    """A pipeline that links names from a list and relates what it is told to.

    Args:
        entities: Its entities, found by name or alias.
        relations: Its relations.
        facts: Relation ids by (subject id, object id), found where both are named in a window.
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
        self._links = AliasBaseline(self.entities, facts=facts)

    def annotate(
        self, documents: Sequence[Document], *, options: AnnotateOptions
    ) -> list[Annotation]:
        """Annotate documents."""
        return self._links.annotate(documents, options=options)

    def link(
        self,
        documents: Sequence[Document],
        mentions: Sequence[Sequence[Span]],
        *,
        options: AnnotateOptions,
    ) -> list[Annotation]:
        """Link given mentions."""
        return self._links.link(documents, mentions, options=options)

    def split(self, document: Document) -> list[Window]:
        """Cut a document into windows."""
        return self._links.split(document)

    def retrieve(
        self, windows: Sequence[Window], *, options: AnnotateOptions
    ) -> list[WindowCandidates]:
        """Propose the entities named in each window."""
        return self._links.retrieve(windows, options=options)

    def entity(self, entity_id: str) -> Entity | None:
        """Return an entity, or None."""
        row = self.entities.row_of(entity_id)
        return None if row is None else self.entities.entity(row)

    def relation(self, relation_id: str) -> Relation | None:
        """Return a relation, or None."""
        return self._relations.get(relation_id)
