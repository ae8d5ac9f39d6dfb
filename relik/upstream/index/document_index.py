"""The document index of one task in upstream's format: documents and their vectors."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from relik.errors import BundleCorruptError, BundleError, DimensionMismatchError
from relik.types import FloatArray, VectorIndex
from relik.upstream.checkpoint.files import file_within
from relik.upstream.checkpoint.settings import CONFIG, IndexSettings, Precision, known_values
from relik.upstream.checkpoint.targets import check_target, read_yaml
from relik.upstream.index.documents import (
    Document,
    Documents,
    DocumentStore,
    SearchedDocuments,
)
from relik.upstream.index.embeddings import TorchVectors, place_tensor, read_tensor

EMBEDDINGS, DOCUMENTS, FAISS = "embeddings.pt", "documents.jsonl", "index.faiss"


class DocumentIndex(SearchedDocuments):
    """Documents and their vectors, row by row.

    Args:
        matryoshka: Use the first dimensions of queries that are wider than the vectors.
        settings: Content of the index's `config.yaml`.

    Raises:
        BundleCorruptError: The numbers of documents and vectors differ.
    """

    documents: DocumentStore

    def __init__(
        self,
        documents: DocumentStore,
        vectors: VectorIndex,
        *,
        matryoshka: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        if documents.n_rows != len(vectors):
            raise BundleCorruptError(
                f"got {documents.n_rows} documents and {len(vectors)} vectors, expected one "
                "vector per document: fetch or build the index again"
            )
        super().__init__(documents, vectors, matryoshka=matryoshka)
        self.settings = dict(settings or {})

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        settings: IndexSettings | None = None,
        device: str = "cpu",
        precision: Precision = "float32",
    ) -> "DocumentIndex":
        """Open an index in upstream's format.

        With `use_faiss` but without `index.faiss`, search is exact, as in the index that upstream
        builds then.

        Args:
            folder: Has `documents.jsonl`, `embeddings.pt`, and optionally `config.yaml` and
                `index.faiss`.
            precision: Precision on a GPU; the CPU keeps that of the file and computes in float32.

        Raises:
            BundleError: A file is missing, malformed, or does not fit the others.
            ConfigError: `config.yaml` has an unknown setting, or torch cannot use the device.
        """
        settings = settings or IndexSettings(name_or_path=str(folder))
        own = read_index_config(folder)
        documents = DocumentStore.open(
            file_within(folder, own.get("documents") or DOCUMENTS),
            skip_metadata=settings.skip_metadata,
        )
        vectors: VectorIndex
        if settings.use_faiss and (folder / FAISS).is_file():
            from relik.vectors.faiss_index import FaissIndex

            vectors = FaissIndex.open(folder / FAISS)
        else:
            tensor = read_tensor(folder / EMBEDDINGS)
            vectors = TorchVectors(place_tensor(tensor, device=device, precision=precision))
        matryoshka = settings.matryoshka
        if matryoshka is None:
            matryoshka = "matryoshka" in settings.name_or_path.lower()
        try:
            return cls(documents, vectors, matryoshka=matryoshka, settings=own)
        except BundleCorruptError as error:
            raise BundleCorruptError(f"{folder}: {error}") from error

    @property
    def version(self) -> str:
        """Fingerprint of the documents: 16 hexadecimal digits."""
        return self.documents.version

    @property
    def changed(self) -> bool:
        """Whether documents were added or deleted since the index was opened."""
        return self.documents.changed

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.documents)

    def entity_id(self, row: int) -> str:
        """Return the id of a document as the server returns it: as text."""
        return str(self.documents[row].id)

    def row_of(self, entity_id: str) -> int | None:
        """Return the lowest row of a document by its id as text, or None."""
        for key in (entity_id, _parse_int(entity_id)):
            row = None if key is None else self.documents.row_of(key)
            if row is not None and self.entity_id(row) == entity_id:
                return row
        return None

    def add(self, documents: Iterable[Document | str], vectors: FloatArray) -> None:
        """Append documents with their vectors.

        Args:
            vectors: Float32, (n_documents, dim), from the index's encoder.

        Raises:
            DimensionMismatchError: The vectors have another number or width.
            InputError: The id of a document is taken.
            BundleError: The index uses FAISS.
        """
        added = list(documents)
        if vectors.shape != (len(added), self.dim):
            raise DimensionMismatchError(
                f"got vectors of shape {vectors.shape}, expected ({len(added)}, {self.dim}): "
                "encode each document with the encoder of the index"
            )
        tensor = self._tensor()
        self.documents.add(added)
        fresh = torch.from_numpy(np.ascontiguousarray(vectors)).to(tensor)
        self._vectors = TorchVectors(torch.cat([tensor, fresh]))

    def delete(self, key: str | int | Document) -> Document:
        """Delete a document, so that no search finds it.

        Raises:
            InputError: There is no such document.
        """
        return self.documents.delete(key)

    def save(self, folder: Path) -> None:
        """Write the index in upstream's format, without the deleted documents.

        Raises:
            BundleError: The index uses FAISS.
        """
        tensor = self._tensor().cpu()
        kept = np.setdiff1d(np.arange(len(tensor)), self.documents.deleted)
        rows = torch.from_numpy(kept)
        write_index(folder, self.documents, tensor[rows].clone(), settings=self.settings)

    def _tensor(self) -> torch.Tensor:
        if not isinstance(self._vectors, TorchVectors):
            raise BundleError(
                "got an index on FAISS, expected one on its embeddings.pt: open it without "
                "use_faiss"
            )
        return self._vectors.tensor


def write_index(
    folder: Path, documents: Documents, vectors: torch.Tensor, *, settings: Mapping[str, Any]
) -> None:
    """Write an index in upstream's format.

    Args:
        vectors: (n_documents, dim), in the order of the documents.
    """
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    documents.save(folder / DOCUMENTS)
    torch.save(vectors, folder / EMBEDDINGS)
    values = {
        "_target_": "relik.retriever.indexers.inmemory.InMemoryDocumentIndex",
        "metadata_fields": list(settings.get("metadata_fields") or []),
        "separator": settings.get("separator"),
        "name_or_path": None,
    }
    (folder / CONFIG).write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def read_index_config(folder: Path) -> dict[str, Any]:
    """Read `config.yaml` of an index in upstream's format; empty if there is none.

    Raises:
        BundleCorruptError: The file is not plain YAML.
        ConfigError: It has an unknown setting.
    """
    if not (folder / CONFIG).is_file():
        return {}
    values = read_yaml(folder / CONFIG)
    where = str(folder / CONFIG)
    check_target(values, ("index",), where=where)
    names = {"metadata_fields", "separator", "name_or_path", "documents", "device", "precision"}
    return known_values(values, frozenset(names), where=where)


def _parse_int(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
