"""Documents of an index: rows of a memory-mapped JSON Lines file, parsed on access.

Opening takes eight bytes of memory per document. This module does not import torch.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relik.errors import (
    BundleCorruptError,
    BundleNotFoundError,
    DimensionMismatchError,
    InputError,
)
from relik.types import FloatArray, IntArray, VectorIndex

_SCAN_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Document:
    """An entry of an index: an entity or a relation.

    Args:
        text: Its name, which the reader reads.
        id: Its id; the row, for an entry without one.
    """

    text: str
    id: str | int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {"text": self.text, "id": self.id, "metadata": dict(self.metadata)}


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """A document that a query found.

    Args:
        score: Inner product of query and document; any number.
        row: Row in the index; not part of equality.
    """

    document: Document
    score: float
    row: int = field(compare=False)


class Documents(ABC):
    """Documents by row and by id."""

    deleted: IntArray = np.empty(0, dtype=np.int64)
    """Rows that were deleted, int64, ascending."""

    @abstractmethod
    def __iter__(self) -> Iterator[Document]:
        """Iterate over the documents in the order of their rows."""

    @abstractmethod
    def __getitem__(self, row: int) -> Document:
        """Return the document of a row."""

    @abstractmethod
    def _find(self, name: str, value: object) -> int | None:
        """Return the lowest row whose `id` or `text` equals a value, or None."""

    def __contains__(self, key: object) -> bool:
        """Tell whether there is a document of that id or text."""
        return isinstance(key, str | int | Document) and self.row_of(key) is not None

    def get(self, key: str | int | Document) -> Document | None:
        """Return the document with the lowest row of a key, or None; see `row_of`."""
        row = self.row_of(key)
        return None if row is None else self[row]

    def row_of(self, key: str | int | Document) -> int | None:
        """Return the lowest row of a key, or None.

        Args:
            key: An id; or a text, if no document has it as its id; or a document, by its id.
        """
        if isinstance(key, Document):
            by_text = key.id is None
            return self._find("text", key.text) if by_text else self._find("id", key.id)
        row = self._find("id", key)
        return self._find("text", key) if row is None and isinstance(key, str) else row

    def save(self, path: Path) -> None:
        """Write the documents as JSON Lines, in the order of their rows, without deleted ones."""
        with path.open("w", encoding="utf-8") as stream:
            for document in self:
                stream.write(json.dumps(document.to_dict(), ensure_ascii=False) + "\n")


class DocumentStore(Documents):
    """Documents by row and by id; rows keep their numbers when others are deleted."""

    def __init__(self, documents: Iterable[Document] = ()) -> None:
        self._path: Path | None = None
        self._lines: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
        self._offsets: IntArray = np.zeros(1, dtype=np.int64)
        self._skip_metadata = False
        self._added: list[Document] = []
        self._added_rows: dict[tuple[str, object], list[int]] = {}
        self._deleted: set[int] = set()
        self._keys: dict[str, tuple[IntArray, IntArray]] = {}
        self.add(documents)

    @classmethod
    def open(cls, path: Path, *, skip_metadata: bool = False) -> "DocumentStore":
        """Map a file of documents.

        Args:
            path: JSON Lines with `text`, and optionally `id` and `metadata`.

        Raises:
            BundleNotFoundError: There is no such file.
        """
        store = cls()
        store._path, store._skip_metadata = path, skip_metadata
        try:
            if path.stat().st_size:
                store._lines = np.memmap(path, dtype=np.uint8, mode="r")
        except OSError as error:
            raise BundleNotFoundError(
                f"{path}: cannot be read ({error.strerror}), expected the documents of an index: "
                "fetch the index again"
            ) from error
        store._offsets = _line_offsets(store._lines)
        return store

    @property
    def n_rows(self) -> int:
        """Number of rows, deleted ones included."""
        return len(self._offsets) - 1 + len(self._added)

    @property
    def deleted(self) -> IntArray:  # type: ignore[override]  # only read
        """Rows that were deleted, int64, ascending."""
        return np.array(sorted(self._deleted), dtype=np.int64)

    @property
    def version(self) -> str:
        """Fingerprint of the file, without later changes: 16 hexadecimal digits."""
        return hashlib.sha256(self._lines.data).hexdigest()[:16]

    @property
    def changed(self) -> bool:
        """Whether documents were added or deleted."""
        return bool(self._added or self._deleted)

    def __len__(self) -> int:
        """Return the number of documents."""
        return self.n_rows - len(self._deleted)

    def __iter__(self) -> Iterator[Document]:
        """Iterate over the documents in the order of their rows."""
        return (self[row] for row in range(self.n_rows) if row not in self._deleted)

    def __getitem__(self, row: int) -> Document:
        """Return the document of a row.

        Args:
            row: From 0 to `n_rows - 1`.

        Raises:
            InputError: There is no such row, or it was deleted.
            BundleCorruptError: The row's line is malformed.
        """
        if not 0 <= row < self.n_rows or row in self._deleted:
            raise InputError(
                f"got row {row}, expected one of the {self.n_rows} rows that was not deleted: "
                "correct it"
            )
        on_disk = len(self._offsets) - 1
        return self._added[row - on_disk] if row >= on_disk else self._read(row)

    def add(self, documents: "Iterable[Document | str | Mapping[str, Any]]") -> list[int]:
        """Append documents; one without an id gets its row as id.

        Args:
            documents: Documents, texts, or JSON objects as in the file.

        Raises:
            InputError: A document has another form, or its id is taken.
        """
        rows = []
        for value in documents:
            row = self.n_rows
            document = as_document(value)
            if document.id is None:
                document = Document(document.text, row, document.metadata)
            if row and self._find("id", document.id) is not None:
                raise InputError(
                    f"got a document with the id {document.id!r}, expected a new id: delete the "
                    "other document first, or choose another id"
                )
            self._added.append(document)
            self._added_rows.setdefault(("id", document.id), []).append(row)
            self._added_rows.setdefault(("text", document.text), []).append(row)
            rows.append(row)
        return rows

    def delete(self, key: "str | int | Document") -> Document:
        """Delete a document; its row stays empty.

        Raises:
            InputError: There is no such document.
        """
        row = self.row_of(key)
        if row is None:
            raise InputError(
                f"got {key!r}, expected the id or the text of a document of the index: correct it"
            )
        document = self[row]
        self._deleted.add(row)
        return document

    def _read(self, row: int) -> Document:
        line = bytes(self._lines[self._offsets[row] : self._offsets[row + 1]])
        try:
            values = json.loads(line.decode("utf-8-sig" if row == 0 else "utf-8"))
            document = as_document(values)
        except (ValueError, RecursionError, InputError) as error:
            raise BundleCorruptError(
                f"{self._path}, line {row + 1}: is not a document ({error}), expected a JSON "
                'object with "text": fetch the index again'
            ) from error
        metadata = {} if self._skip_metadata else document.metadata
        return Document(document.text, row if document.id is None else document.id, metadata)

    def _find(self, name: str, value: object) -> int | None:
        """Return the lowest row whose id or text equals a value, searched by hash."""
        found = [
            row
            for row in self._rows_of_hash(name, hash(value))
            if getattr(self._read(row), name) == value
        ]
        found += self._added_rows.get((name, value), [])
        return min((row for row in found if row not in self._deleted), default=None)

    def _rows_of_hash(self, name: str, wanted: int) -> list[int]:
        # Hashes differ between processes, so they are never stored; `_find` compares the values.
        if name not in self._keys:
            count = len(self._offsets) - 1
            hashes = np.fromiter(
                (hash(getattr(self._read(row), name)) for row in range(count)),
                dtype=np.int64,
                count=count,
            )
            order = np.argsort(hashes, kind="stable")
            self._keys[name] = hashes[order], order
        hashes, order = self._keys[name]
        first, last = np.searchsorted(hashes, wanted), np.searchsorted(hashes, wanted, "right")
        return [int(row) for row in order[first:last]]


def as_document(value: object) -> Document:
    """Return a document from a document, a text, or a JSON object as in the file.

    Raises:
        InputError: The value has another form.
    """
    if isinstance(value, Document):
        return value
    if isinstance(value, str):
        return Document(value)
    if not isinstance(value, Mapping) or not isinstance(value.get("text"), str):
        raise InputError(
            f"got {str(value)[:80]!r}, expected a document, a text, or an object with a text: "
            "correct it"
        )
    number, metadata = value.get("id"), value.get("metadata")
    if not isinstance(number, str | int | None) or not isinstance(metadata, Mapping | None):
        raise InputError(
            f"got the id {number!r} and metadata {str(metadata)[:80]!r}, expected a text or a "
            "whole number, and an object: correct them"
        )
    return Document(value["text"], number, metadata or {})


def candidate_text(document: Document, metadata_fields: Sequence[str]) -> str:
    """Return the text of a candidate that the reader reads: name and metadata."""
    values = (document.metadata.get(name) for name in metadata_fields)
    return document.text + "".join("" if value is None else str(value) for value in values)


def fit_queries(queries: FloatArray, *, dim: int, top_k: int, narrow: bool) -> FloatArray:
    """Check queries and `top_k`, and cut queries to the width of the vectors: (n_queries, dim).

    Args:
        queries: Float32, (n_queries, width).
        narrow: Use the first dimensions of wider queries.

    Raises:
        DimensionMismatchError: The queries have another width.
        InputError: `top_k` is less than 1.
    """
    if top_k < 1:
        raise InputError(f"got top_k {top_k}, expected at least 1: raise it, or pass candidates")
    width = queries.shape[1] if queries.ndim == 2 else 0
    if width > dim and narrow:
        return np.ascontiguousarray(queries[:, :dim])
    if width != dim:
        raise DimensionMismatchError(
            f"got queries of shape {queries.shape}, expected (n, {dim}): use the encoder of the "
            "index, or, for an index of the first dimensions of a wider encoder, "
            "index_kwargs={'matryoshka': True}"
        )
    return queries


class SearchedDocuments:
    """Documents and their vectors, row by row.

    Args:
        vectors: One for each row of the documents.
        matryoshka: Use the first dimensions of queries that are wider than the vectors.
    """

    def __init__(self, documents: Documents, vectors: VectorIndex, *, matryoshka: bool) -> None:
        self.documents = documents
        self.matryoshka = matryoshka
        self.dim = vectors.dim
        self._vectors = vectors

    def search(
        self, queries: FloatArray, *, top_k: int, truncate: bool = False
    ) -> list[list[FoundDocument]]:
        """Find the best documents of each query.

        Args:
            queries: Float32, (n_queries, dim); wider where the index is a Matryoshka one.
            top_k: Documents per query, at least 1.
            truncate: Use the first dimensions of wider queries, as upstream does.

        Returns:
            For each query at most `top_k` documents, best first, ties by row.

        Raises:
            DimensionMismatchError: The queries have another width.
            InputError: `top_k` is less than 1.
        """
        found = self.find(queries, top_k=top_k, truncate=truncate)
        # Each row is read once even if several queries found it.
        rows = sorted({row for line in found for row, _ in line})
        documents = {row: self.documents[row] for row in rows}
        return [
            [FoundDocument(documents[row], score, row) for row, score in line] for line in found
        ]

    def find(
        self, queries: FloatArray, *, top_k: int, truncate: bool = False
    ) -> list[list[tuple[int, float]]]:
        """Find rows and scores as `search` does, without reading the documents."""
        narrow = truncate or self.matryoshka
        queries = fit_queries(queries, dim=self.dim, top_k=top_k, narrow=narrow)
        deleted = set(self.documents.deleted.tolist())
        rows, scores = self._vectors.search(queries, top_k=top_k + len(deleted))
        return [
            [pair for pair in zip(*lines, strict=True) if pair[0] not in deleted][:top_k]
            for lines in zip(rows.tolist(), scores.tolist(), strict=True)
        ]


def _line_offsets(lines: NDArray[np.uint8]) -> IntArray:
    """Return the offset of each line and the end of the last: int64, (n_lines + 1,)."""
    ends = [
        np.flatnonzero(lines[first : first + _SCAN_BYTES] == ord("\n")) + first + 1
        for first in range(0, len(lines), _SCAN_BYTES)
    ]
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), *ends]).astype(np.int64)
    if offsets[-1] < len(lines):
        offsets = np.append(offsets, len(lines))
    return offsets
