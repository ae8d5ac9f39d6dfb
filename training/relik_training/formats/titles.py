"""Titles and addresses of Wikipedia pages as ids of a knowledge base."""

from dataclasses import replace
from pathlib import Path

from relik_training.formats.addresses import is_page, plain_title
from relik_training.formats.annotated import Mention, Record
from relik_training.formats.conversion_report import Report
from relik_training.formats.streams import expecting, read_objects

_SHAPE = '{"title": "London", "id": "Q84"}'


class EntityMap:
    """Ids by title.

    Args:
        ids: Title -> id.
    """

    def __init__(self, ids: dict[str, str]) -> None:
        self._ids = {plain_title(title): entity_id for title, entity_id in ids.items()}

    def find(self, name: str) -> str | None:
        """Find the id of a page.

        Args:
            name: A title, or the address of a page.

        Returns:
            Its id, or None; the first letter may be small, as Wikipedia has it.
        """
        title = plain_title(name)
        return self._ids.get(title) or self._ids.get(title[:1].upper() + title[1:])

    def link(self, record: Record, report: Report) -> Record:
        """Give mentions the ids of the pages they are linked to.

        A mention with an id of its own that is no title keeps it where the map has none.

        Args:
            record: A document whose mentions have a title, or an id that is one.
            report: Counts titles that are not in the map.

        Returns:
            The document with ids of the map.
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
        own = mention.entity_id
        only_title = own is not None and (is_page(own) or own == mention.text("title"))
        if own is None or not only_title:
            return mention
        span = (mention.start, mention.end)
        report.drop("title is not in --entities", doc_id=record.doc_id, span=span)
        return replace(mention, entity_id=None)


def read_entity_map(path: Path) -> EntityMap:
    """Read ids by title.

    Args:
        path: Lines of {"title", "id"}; gzip where its name ends in .gz.

    Returns:
        The map.

    Raises:
        InputError: The file cannot be read, or a line has another shape.
    """
    ids: dict[str, str] = {}
    for where, row in read_objects(path, Report()):
        with expecting(where, _SHAPE):
            title, entity_id = row["title"], row["id"]
            if not (isinstance(title, str) and isinstance(entity_id, str)):
                raise TypeError("title and id are strings")
            ids[title] = entity_id
    return EntityMap(ids)
