"""The documents of a converted index: records of a knowledge index, and what these leave out.

A record has the text of a document and one description. Ids that are numbers, and metadata beyond
the description, lie beside it in an Arrow file that is mapped, row by row in the same order.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from relik.errors import BundleCorruptError, InputError
from relik.kb import KnowledgeBase, normalise
from relik.types import Entity
from relik.upstream.index.documents import Document

EXTRAS = "documents.arrow"
DEFINITION = "definition"
"""The metadata that is kept as the description of a record."""

_AGAIN = "fetch or convert it again"


def extras_schema() -> pa.Schema:
    """Return the columns of `documents.arrow`.

    Returns:
        `id`: JSON; null where it is the id of the record. `metadata`: a JSON object; null where
        there is nothing but the description.
    """
    return pa.schema([("id", pa.string()), ("metadata", pa.string())])


def split_document(document: Document, entity_id: str) -> tuple[Entity, str | None, str | None]:
    """Part a document into a record and what the record leaves out.

    Returns:
        The record; the columns `id` and `metadata` of `documents.arrow`.
    """
    metadata = dict(document.metadata)
    definition = metadata.get(DEFINITION)
    if isinstance(definition, str):
        description = definition
    else:
        # So that whoever reads the record alone is told what there is.
        description = " ".join(str(value) for value in metadata.values() if value is not None)
    entity = Entity(entity_id=entity_id, name=document.text, description=description)
    known = metadata == _metadata(entity)
    return (
        entity,
        None if document.id == entity_id else json.dumps(document.id, ensure_ascii=False),
        None if known else json.dumps(metadata, ensure_ascii=False),
    )


class ConvertedDocuments:
    """Documents by row and by id; read-only.

    Args:
        kb: The records.
        path: `documents.arrow`; where there is no such file, the records are all there is.
        skip_metadata: Leave the metadata out.

    Raises:
        BundleCorruptError: The file does not go with the records.
    """

    def __init__(self, kb: KnowledgeBase, path: Path, *, skip_metadata: bool = False) -> None:
        self._kb = kb
        self._skip_metadata = skip_metadata
        self._path = path
        self._columns: pa.Table | None = None
        if path.is_file():
            try:
                self._columns = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            except (pa.ArrowException, OSError) as error:
                raise BundleCorruptError(
                    f"{path}: is not an Arrow file ({error}): {_AGAIN}"
                ) from error
            found = self._columns
            if not found.schema.equals(extras_schema()) or found.num_rows != len(kb):
                raise BundleCorruptError(
                    f"{path}: got {found.num_rows} rows of {', '.join(found.schema.names)}, "
                    f"expected {len(kb)} of {', '.join(extras_schema().names)}: {_AGAIN}"
                )

    @property
    def n_rows(self) -> int:
        """Rows there are."""
        return len(self._kb)

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self._kb)

    def __iter__(self) -> Iterator[Document]:
        """Go through the documents in the order of their rows."""
        return (self[row] for row in range(len(self)))

    def __contains__(self, key: object) -> bool:
        """Tell whether a document, or one of that id or text, is there."""
        return isinstance(key, str | int | Document) and self.row_of(key) is not None

    def __getitem__(self, row: int) -> Document:
        """Return the document of a row.

        Args:
            row: From 0 to `n_rows - 1`.

        Returns:
            The document as it was converted, its id a number where it was one.

        Raises:
            InputError: There is no such row.
            BundleCorruptError: What lies beside its record is malformed.
        """
        if not 0 <= row < len(self):
            raise InputError(f"got row {row}, expected one of the {len(self)} rows")
        entity = self._kb.record(row)
        number, metadata = self._extra("id", row), self._extra("metadata", row)
        if metadata is None:
            metadata = _metadata(entity)
        return Document(
            entity.name,
            entity.entity_id if number is None else number,
            {} if self._skip_metadata else metadata,
        )

    def get(self, key: str | int | Document) -> Document | None:
        """Find a document.

        Args:
            key: An id; or a text, where no id is equal to it; or a document, found by its id.

        Returns:
            The document with the lowest row, or None.
        """
        row = self.row_of(key)
        return None if row is None else self[row]

    def row_of(self, key: str | int | Document) -> int | None:
        """Find the row of a document.

        Returns:
            The lowest row, or None.
        """
        if isinstance(key, Document):
            return self._with_text(key.text) if key.id is None else self._with_id(key.id)
        row = self._with_id(key)
        return self._with_text(key) if row is None and isinstance(key, str) else row

    def save(self, path: Path) -> None:
        """Write the documents as JSON Lines, in the order of their rows."""
        with path.open("w", encoding="utf-8") as stream:
            for document in self:
                stream.write(json.dumps(document.to_dict(), ensure_ascii=False) + "\n")

    def _with_id(self, number: str | int) -> int | None:
        row = self._kb.row_of(str(number))
        # The number 5 is not the text "5".
        return row if row is not None and self[row].id == number else None

    def _with_text(self, text: str) -> int | None:
        matches = self._kb.names.lookup(normalise(text))
        rows = (match.row for match in matches if self._kb.record(match.row).name == text)
        return min(rows, default=None)

    def _extra(self, column: str, row: int) -> Any:
        if self._columns is None:
            return None
        try:
            text = self._columns.column(column)[row].as_py()
            return None if text is None else json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BundleCorruptError(
                f"{self._path}, row {row}: got a {column} that is not JSON ({error}): {_AGAIN}"
            ) from error


def _metadata(entity: Entity) -> dict[str, Any]:
    return {DEFINITION: entity.description} if entity.description else {}
