"""The retriever of a pipeline: search where records have vectors, else all of them."""

from collections.abc import Sequence
from pathlib import Path

from relik.config import RetrieverConfig
from relik.errors import BundleError, ConfigError
from relik.kb import KnowledgeBase
from relik.kb.view import KnowledgeView
from relik.retriever.encoder import open_encoder
from relik.retriever.exhaustive import ExhaustiveRetriever
from relik.retriever.hybrid import HybridRetriever
from relik.types import Candidate, TextEncoder, Window


class WindowRetriever:
    """Proposes entities and relations for windows, which are encoded once for both.

    Args:
        encoder: Encodes windows; None where no knowledge base has vectors.
        config: Weights of the features.
    """

    def __init__(self, encoder: TextEncoder | None, config: RetrieverConfig) -> None:
        self._all = ExhaustiveRetriever()
        self._search = None if encoder is None else HybridRetriever(encoder, config)
        self._search_relations = (
            None if encoder is None else HybridRetriever(encoder, config, lexical=False)
        )

    def retrieve(
        self, windows: Sequence[Window], view: KnowledgeView, *, top_k: tuple[int, int]
    ) -> tuple[list[tuple[Candidate, ...]], list[tuple[Candidate, ...]]]:
        """Return the candidates of each window.

        Args:
            windows: Windows; those of one document stand together, in order.
            view: Knowledge to propose from.
            top_k: Entities and relations per window at most; 0 relations asks for none.

        Returns:
            Entities and relations, one tuple a window each, best first, ties by id.

        Raises:
            InputError: All records are candidates, and there are more than `top_k`.
        """
        if not windows:
            return [], []
        entities = self._retriever(view.entities, self._search)
        relations = self._retriever(view.relations, self._search_relations)
        vectors = entities.encode(windows)
        found = entities.retrieve_encoded(windows, vectors, view.entities, top_k=top_k[0])
        if not top_k[1] or not len(view.relations):
            return found, [() for _ in windows]
        return found, relations.retrieve_encoded(windows, vectors, view.relations, top_k=top_k[1])

    def _retriever(
        self, kb: KnowledgeBase, search: HybridRetriever | None
    ) -> HybridRetriever | ExhaustiveRetriever:
        return search if search is not None and kb.dim else self._all


def open_retriever(
    folder: Path, backend: str, *, config: RetrieverConfig, view: KnowledgeView
) -> WindowRetriever:
    """Open the retriever of a bundle.

    Args:
        folder: The bundle; its encoder is opened where records are searched for.
        backend: "onnx", "torch" or "auto".
        config: Weights of the features, and how many candidates a window gets.
        view: The knowledge that it is opened for.

    Raises:
        BundleError: The encoder is missing or broken, or relations have vectors where entities
            have none.
        ConfigError: There is no such backend, or not all records of a closed schema fit a window.
    """
    for name, top_k, kb in (
        ("entity_top_k", config.entity_top_k, view.entities),
        ("relation_top_k", config.relation_top_k, view.relations),
    ):
        if not kb.dim and top_k < len(kb):
            raise ConfigError(
                f"{folder}: got [retriever] {name} {top_k}, expected at least {len(kb)}, since its "
                "records have no vectors to choose by: raise it in pipeline.toml"
            )
    if view.entities.dim:
        return WindowRetriever(open_encoder(folder, backend), config)
    if view.relations.dim:
        raise BundleError(
            f"{folder}: got relations with vectors beside entities without, expected vectors "
            "for both or for entities alone: build the index of entities with an encoder"
        )
    return WindowRetriever(None, config)
