"""The map from Wikipedia titles to entity ids of a knowledge base."""

from dataclasses import replace
from pathlib import Path

from relik_training.formats.addresses import is_page, plain_title
from relik_training.formats.annotated import Mention, Record
from relik_training.formats.conversion_report import Report
from relik_training.formats.streams import expecting, read_objects

_SHAPE = '{"title": "London", "id": "Q84"}'


class EntityMap:
    """Entity ids by Wikipedia title."""

    def __init__(self, ids: dict[str, str]) -> None:
        self._ids = {plain_title(title): entity_id for title, entity_id in ids.items()}

    def find(self, name: str) -> str | None:
        """Return the id of a page, or None; the case of the first letter does not matter.

        Args:
            name: A title, or the address of a page.
        """
        title = plain_title(name)
        return self._ids.get(title) or self._ids.get(title[:1].upper() + title[1:])

    def link(self, record: Record, report: Report) -> Record:
        """Set the ids of mentions by the titles that they are linked to.

        If the map lacks a title, a mention keeps an id that is not itself a title.

        Args:
            record: A document whose mentions have a title, or an id that is one.
            report: Counts titles that the map lacks.
        """
        mentions = tuple(self._linked(mention, record, report) for mention in record.mentions)
        return replace(record, mentions=mentions)

    def _linked(self, mention: Mention, record: Record, report: Report) -> Mention:
        name = mention.text("title") or mention.entity_id
        if not name:
            return mention
        found = self.find(name)
        if found is not None:
            return replace(mention, entity_id=found)
        entity_id = mention.entity_id
        only_title = entity_id is not None and (
            is_page(entity_id) or entity_id == mention.text("title")
        )
        if entity_id is None or not only_title:
            return mention
        report.drop("title is not in --entities", doc_id=record.doc_id, span=mention.span)
        return replace(mention, entity_id=None)


def read_entity_map(path: Path) -> EntityMap:
    """Read a map of titles.

    Args:
        path: JSON Lines of {"title", "id"}; gzip if its name ends in .gz.

    Raises:
        InputError: The file cannot be read, or a line has another shape.
    """
    ids: dict[str, str] = {}
    for where, row in read_objects(path, Report()):
        with expecting(where, _SHAPE):
            title, entity_id = row["title"], row["id"]
            if not (isinstance(title, str) and isinstance(entity_id, str)):
                raise TypeError("title and id must be strings")
            ids[title] = entity_id
    return EntityMap(ids)
