"""The index of one task in a converted bundle, with the interface of `DocumentIndex`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from relik.kb import KnowledgeBase
from relik.types import FloatArray, IntArray
from relik.upstream.bundle.converted_documents import EXTRAS, ConvertedDocuments
from relik.upstream.checkpoint.extra import missing_library
from relik.upstream.checkpoint.settings import IndexSettings, Precision
from relik.upstream.index.documents import FoundDocument, fit_queries, read_found


class _Vectors(Protocol):
    def search(self, queries: FloatArray, *, top_k: int) -> tuple[IntArray, FloatArray]: ...


class ConvertedIndex:
    """Documents and their vectors in a knowledge index.

    Args:
        documents: The documents of the rows of `kb`.
        matryoshka: Use the first dimensions of queries that are wider than the vectors.
        vectors: A copy of the vectors of `kb` on a GPU, to search in their place.
    """

    changed = True
    """Its files are not in upstream's format, so that saving must write them anew."""

    def __init__(
        self,
        kb: KnowledgeBase,
        documents: ConvertedDocuments,
        *,
        matryoshka: bool = False,
        vectors: _Vectors | None = None,
    ) -> None:
        self.kb = kb
        self.documents = documents
        self.matryoshka = matryoshka
        self._vectors = kb.index if vectors is None else vectors

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        settings: IndexSettings | None = None,
        device: str = "cpu",
        precision: Precision = "float32",
    ) -> "ConvertedIndex":
        """Open the knowledge index of a converted bundle.

        Args:
            settings: `use_faiss` has no effect, since a knowledge index always uses FAISS.

        Raises:
            BundleError: A file is missing, malformed, or does not fit the others.
            ConfigError: torch cannot use the device.
        """
        settings = settings or IndexSettings(name_or_path=str(folder))
        kb = KnowledgeBase.open(folder)
        documents = ConvertedDocuments(kb, folder / EXTRAS, skip_metadata=settings.skip_metadata)
        vectors = None if device == "cpu" else _on_gpu(kb, device, precision)
        return cls(kb, documents, matryoshka=bool(settings.matryoshka), vectors=vectors)

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.kb.dim

    @property
    def version(self) -> str:
        """Version of the knowledge index."""
        return self.kb.version

    @property
    def settings(self) -> Mapping[str, Any]:
        """How documents were written for the encoder: `metadata_fields` and `separator`."""
        return {
            name: self.kb.manifest.fields.get(name) for name in ("metadata_fields", "separator")
        }

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.documents)

    def search(
        self, queries: FloatArray, *, top_k: int, truncate: bool = False
    ) -> list[list[FoundDocument]]:
        """Find the best documents of each query; see `DocumentIndex.search`."""
        found = self.find(queries, top_k=top_k, truncate=truncate)
        return read_found(self.documents.__getitem__, found)

    def find(
        self, queries: FloatArray, *, top_k: int, truncate: bool = False
    ) -> list[list[tuple[int, float]]]:
        """Find the rows of the best documents of each query; see `DocumentIndex.find`."""
        narrow = truncate or self.matryoshka
        queries = fit_queries(queries, dim=self.dim, top_k=top_k, narrow=narrow)
        rows, scores = self._vectors.search(queries, top_k=top_k)
        return [
            list(zip(*lines, strict=True))
            for lines in zip(rows.tolist(), scores.tolist(), strict=True)
        ]

    def entity_id(self, row: int) -> str:
        """Return the id of a document as the server returns it: as text."""
        return self.kb.entity_id(row)

    def row_of(self, entity_id: str) -> int | None:
        """Return the row of a document by its id as text, or None."""
        return self.kb.row_of(entity_id)

    def save(self, folder: Path) -> None:
        """Write the index in upstream's format.

        Raises:
            ConfigError: torch or PyYAML is not installed.
        """
        try:
            import torch

            from relik.upstream.index.document_index import write_index
        except ModuleNotFoundError as error:
            raise missing_library(str(error.name)) from error
        vectors = torch.from_numpy(_all_vectors(self.kb))
        write_index(folder, self.documents, vectors, settings=self.settings)


def _on_gpu(kb: KnowledgeBase, device: str, precision: Precision) -> _Vectors:
    try:
        import torch

        from relik.upstream.index.embeddings import TorchVectors, place_tensor
    except ModuleNotFoundError as error:
        raise missing_library(str(error.name)) from error
    vectors = torch.from_numpy(_all_vectors(kb))
    return TorchVectors(place_tensor(vectors, device=device, precision=precision))


def _all_vectors(kb: KnowledgeBase) -> FloatArray:
    return kb.index.reconstruct(np.arange(len(kb), dtype=np.int64))
