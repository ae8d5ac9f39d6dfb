"""The index of one task in a converted bundle, with the interface of `DocumentIndex`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from relik.kb import KnowledgeBase
from relik.types import FloatArray, IntArray
from relik.upstream.bundle.converted_documents import EXTRAS, ConvertedDocuments
from relik.upstream.checkpoint.settings import IndexSettings, Precision
from relik.upstream.index.documents import FoundDocument, fit_queries, read_found


class _Vectors(Protocol):
    def search(self, queries: FloatArray, *, top_k: int) -> tuple[IntArray, FloatArray]: ...


class ConvertedIndex:
    """Documents and their vectors in a knowledge index.

    Args:
        kb: Records and vectors.
        documents: The documents of its rows.
        matryoshka: Queries may be wider: then their first dimensions count.
        vectors: Searched in place of those of `kb`: the same ones, on a GPU.
    """

    changed = True
    """It has to be written anew where upstream's format is wanted: its files have another."""

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
            settings: What the pipeline says of it. `use_faiss` changes nothing: FAISS keeps the
                vectors of a knowledge index in any case.

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
        """What is known of how the vectors were made: `metadata_fields` and `separator`."""
        return {
            name: self.kb.manifest.fields.get(name) for name in ("metadata_fields", "separator")
        }

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.documents)

    def search(
        self, queries: FloatArray, *, top_k: int, truncate: bool = False
    ) -> list[list[FoundDocument]]:
        """Find the best documents of each query.

        Args:
            queries: Float32, (n_queries, dim); wider where the index is a Matryoshka one.
            top_k: Documents per query, at least 1.
            truncate: Let the first dimensions of wider queries count, as upstream does.

        Returns:
            For each query at most `top_k` documents, best first, ties by row.

        Raises:
            DimensionMismatchError: The queries have another width.
            InputError: `top_k` is less than 1.
        """
        found = self.find(queries, top_k=top_k, truncate=truncate)
        return read_found(self.documents.__getitem__, found)

    def find(
        self, queries: FloatArray, *, top_k: int, truncate: bool = False
    ) -> list[list[tuple[int, float]]]:
        """Find the rows of the best documents of each query, and do not read them.

        Returns:
            For each query at most `top_k` rows with their scores, best first, ties by row.

        Raises:
            DimensionMismatchError: The queries have another width.
            InputError: `top_k` is less than 1.
        """
        narrow = truncate or self.matryoshka
        queries = fit_queries(queries, dim=self.dim, top_k=top_k, narrow=narrow)
        rows, scores = self._vectors.search(queries, top_k=top_k)
        return [
            list(zip(*lines, strict=True))
            for lines in zip(rows.tolist(), scores.tolist(), strict=True)
        ]

    def entity_id(self, row: int) -> str:
        """Return the id of a document as text, as the server gives it."""
        return self.kb.entity_id(row)

    def row_of(self, entity_id: str) -> int | None:
        """Find a document by its id as text.

        Returns:
            Its row, or None.
        """
        return self.kb.row_of(entity_id)

    def save(self, folder: Path) -> None:
        """Write the index in upstream's format.

        Raises:
            ConfigError: torch or PyYAML is not installed.
        """
        from relik.upstream.checkpoint.extra import lacking

        try:
            import torch

            from relik.upstream.index.document_index import write_index
        except ModuleNotFoundError as error:
            raise lacking(str(error.name)) from error
        vectors = torch.from_numpy(_every_vector(self.kb))
        write_index(folder, self.documents, vectors, settings=self.settings)


def _on_gpu(kb: KnowledgeBase, device: str, precision: Precision) -> _Vectors:
    from relik.upstream.checkpoint.extra import lacking

    try:
        import torch

        from relik.upstream.index.embeddings import TorchVectors, place_tensor
    except ModuleNotFoundError as error:
        raise lacking(str(error.name)) from error
    vectors = torch.from_numpy(_every_vector(kb))
    return TorchVectors(place_tensor(vectors, device=device, precision=precision))


def _every_vector(kb: KnowledgeBase) -> FloatArray:
    return kb.index.reconstruct(np.arange(len(kb), dtype=np.int64))
