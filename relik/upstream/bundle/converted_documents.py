"""Documents of a converted index: records of a knowledge index, and an Arrow file of the rest.

A record has the text of a document and one description. Numeric ids, and metadata besides the
description, are in a memory-mapped Arrow file with the same rows.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from relik.errors import BundleCorruptError, InputError
from relik.kb import KnowledgeBase, normalise
from relik.types import Entity
from relik.upstream.index.documents import Document, Documents

EXTRAS = "documents.arrow"
DEFINITION = "definition"
"""The metadata that becomes the description of a record."""

_CONVERT = "fetch or convert it again"


def extras_schema() -> pa.Schema:
    """Return the columns of `documents.arrow`.

    `id` is JSON, null where it equals the id of the record. `metadata` is a JSON object, null
    where there is only the description.
    """
    return pa.schema([("id", pa.string()), ("metadata", pa.string())])


def split_document(document: Document, entity_id: str) -> tuple[Entity, str | None, str | None]:
    """Split a document into a record and the columns `id` and `metadata` of `documents.arrow`."""
    metadata = dict(document.metadata)
    definition = metadata.get(DEFINITION)
    if isinstance(definition, str):
        description = definition
    else:
        # Without a definition, the metadata describe the record.
        description = " ".join(str(value) for value in metadata.values() if value is not None)
    entity = Entity(entity_id=entity_id, name=document.text, description=description)
    known = metadata == _record_metadata(entity)
    return (
        entity,
        None if document.id == entity_id else json.dumps(document.id, ensure_ascii=False),
        None if known else json.dumps(metadata, ensure_ascii=False),
    )


class ConvertedDocuments(Documents):
    """Documents by row and by id; read-only.

    Args:
        path: `documents.arrow`; without it, documents have only what is in the records.
        skip_metadata: Leave the metadata out.

    Raises:
        BundleCorruptError: The file does not fit the records.
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
                    f"{path}: is not an Arrow file ({error}): {_CONVERT}"
                ) from error
            found = self._columns
            if not found.schema.equals(extras_schema()) or found.num_rows != len(kb):
                raise BundleCorruptError(
                    f"{path}: got {found.num_rows} rows of {', '.join(found.schema.names)}, "
                    f"expected {len(kb)} of {', '.join(extras_schema().names)}: {_CONVERT}"
                )

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self._kb)

    def __iter__(self) -> Iterator[Document]:
        """Iterate over the documents in the order of their rows."""
        return (self[row] for row in range(len(self)))

    def __getitem__(self, row: int) -> Document:
        """Return the document of a row, as it was before the conversion.

        Raises:
            InputError: There is no such row.
            BundleCorruptError: Its row in `documents.arrow` is malformed.
        """
        if not 0 <= row < len(self):
            raise InputError(f"got row {row}, expected one of the {len(self)} rows: correct it")
        entity = self._kb.record(row)
        number, metadata = self._read_column("id", row), self._read_column("metadata", row)
        if metadata is None:
            metadata = _record_metadata(entity)
        return Document(
            entity.name,
            entity.entity_id if number is None else number,
            {} if self._skip_metadata else metadata,
        )

    def _find(self, name: str, value: object) -> int | None:
        if name == "id":
            row = self._kb.row_of(str(value))
            # The number 5 and the string "5" are different ids.
            return row if row is not None and self[row].id == value else None
        matches = self._kb.names.lookup(normalise(str(value)))
        rows = (match.row for match in matches if self._kb.record(match.row).name == value)
        return min(rows, default=None)

    def _read_column(self, column: str, row: int) -> Any:
        if self._columns is None:
            return None
        try:
            text = self._columns.column(column)[row].as_py()
            return None if text is None else json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BundleCorruptError(
                f"{self._path}, row {row}: got a {column} that is not JSON ({error}): {_CONVERT}"
            ) from error


def _record_metadata(entity: Entity) -> dict[str, Any]:
    return {DEFINITION: entity.description} if entity.description else {}
