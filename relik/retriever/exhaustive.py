"""All records as the candidates of every window: what a closed schema has in place of retrieval."""

from collections.abc import Sequence

import numpy as np

from relik.errors import InputError
from relik.kb import KnowledgeBase
from relik.types import Candidate, FloatArray, Window


class ExhaustiveRetriever:
    """Proposes every record of a small knowledge base, always in the same order."""

    def encode(self, windows: Sequence[Window]) -> FloatArray:
        """Return vectors of width 0, (n_windows, 0): there is nothing to search by."""
        return np.zeros((len(windows), 0), dtype=np.float32)

    def retrieve_encoded(
        self, windows: Sequence[Window], vectors: FloatArray, kb: KnowledgeBase, *, top_k: int
    ) -> list[tuple[Candidate, ...]]:
        """Return all records for each window.

        Args:
            windows: Windows.
            vectors: Float32, (n_windows, any), not looked at.
            kb: Records; vectors are not asked for.
            top_k: Candidates per window at most.

        Returns:
            One tuple a window, by id.

        Raises:
            InputError: `top_k` is less than there are records: none of them is better than another.
        """
        if top_k < len(kb):
            raise InputError(
                f"got top_k {top_k}, expected at least {len(kb)}: this bundle gives all its "
                "types and relations to every window; raise or omit it"
            )
        # Equal scores are ordered by id, here as everywhere.
        ids = sorted(kb.entity_id(row) for row in range(len(kb)))
        candidates = tuple(
            Candidate(entity_id=entity_id, score=1.0, rank=rank, source="given")
            for rank, entity_id in enumerate(ids)
        )
        return [candidates] * len(windows)
