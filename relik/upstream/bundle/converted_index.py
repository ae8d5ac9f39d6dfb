"""The index of one task in a converted bundle, with the interface of `DocumentIndex`."""

from pathlib import Path

import numpy as np

from relik.kb import KnowledgeBase
from relik.types import FloatArray, VectorIndex
from relik.upstream.bundle.converted_documents import EXTRAS, ConvertedDocuments
from relik.upstream.checkpoint.extra import libraries_needed
from relik.upstream.checkpoint.settings import IndexSettings, Precision
from relik.upstream.index.documents import SearchedDocuments


class ConvertedIndex(SearchedDocuments):
    """Documents and their vectors in a knowledge index.

    Args:
        documents: The documents of the rows of `kb`.
        matryoshka: Use the first dimensions of queries that are wider than the vectors.
        vectors: A copy of the vectors of `kb` on a GPU, to search in their place.
    """

    documents: ConvertedDocuments
    changed = True
    """Its files are not in upstream's format, so that saving must write them anew."""

    def __init__(
        self,
        kb: KnowledgeBase,
        documents: ConvertedDocuments,
        *,
        matryoshka: bool = False,
        vectors: VectorIndex | None = None,
    ) -> None:
        super().__init__(documents, kb.index if vectors is None else vectors, matryoshka=matryoshka)
        self.kb = kb
        self.version = kb.version
        # How documents were written for the encoder.
        names = ("metadata_fields", "separator")
        self.settings = {name: kb.manifest.fields.get(name) for name in names}

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

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.documents)

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
        with libraries_needed():
            import torch

            from relik.upstream.index.document_index import write_index
        vectors = torch.from_numpy(_all_vectors(self.kb))
        write_index(folder, self.documents, vectors, settings=self.settings)


def _on_gpu(kb: KnowledgeBase, device: str, precision: Precision) -> VectorIndex:
    with libraries_needed():
        import torch

        from relik.upstream.index.embeddings import TorchVectors, place_tensor
    vectors = torch.from_numpy(_all_vectors(kb))
    return TorchVectors(place_tensor(vectors, device=device, precision=precision))


def _all_vectors(kb: KnowledgeBase) -> FloatArray:
    return kb.index.reconstruct(np.arange(len(kb), dtype=np.int64))
