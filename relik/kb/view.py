"""A knowledge view: one immutable version of the knowledge that a request is answered from."""

from dataclasses import dataclass

from relik.kb.knowledge_base import KnowledgeBase
from relik.types import Entity, Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeView:
    """Knowledge bases of entities and relations that do not change.

    A request pins a view when it is admitted; retriever, reader and merge get it with each call,
    and the answer names its version. Nothing else keeps facts of a knowledge base, so that one
    process can answer from several views at once.

    Args:
        entities: Knowledge base of entities.
        relations: Knowledge base of relations.
    """

    entities: KnowledgeBase
    relations: KnowledgeBase

    @property
    def version(self) -> str:
        """Version of the knowledge base of entities, which answers give as `kb_version`."""
        return self.entities.version

    def entity(self, entity_id: str) -> Entity | None:
        """Return an entity, or None where the id is unknown."""
        row = self.entities.row_of(entity_id)
        return None if row is None else self.entities.record(row)

    def relation(self, relation_id: str) -> Relation | None:
        """Return a relation, or None where the id is unknown."""
        row = self.relations.row_of(relation_id)
        if row is None:
            return None
        record = self.relations.record(row)
        return Relation(relation_id=relation_id, name=record.name, description=record.description)
