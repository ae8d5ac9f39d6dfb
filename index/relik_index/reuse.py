"""Reuse of the vectors of an earlier index, so that unchanged records are not encoded again."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from relik.errors import ConfigError
from relik.kb import KnowledgeBase
from relik.kb.knowledge_base import KIND
from relik.kb.records import encoder_text
from relik.manifest import read_manifest
from relik.types import Entity, FloatArray


class ReusedVectors:
    """The vectors of a knowledge index, by record.

    Args:
        folder: An index with exact vectors.
        encoder_fingerprint: Fingerprint of the encoder of the new index.

    Raises:
        ConfigError: The index was made by another encoder, or its vectors are quantised.
        BundleError: The index cannot be opened.
    """

    def __init__(self, folder: Path, *, encoder_fingerprint: str) -> None:
        fields = read_manifest(folder, kind=KIND).fields
        if fields["vectors"] != "exact":
            raise ConfigError(
                f"{folder}: got {fields['vectors']} vectors, expected exact ones: quantised "
                "vectors cannot be taken over, build without --reuse"
            )
        if fields["encoder_fingerprint"] != encoder_fingerprint:
            raise ConfigError(
                f"{folder}: was encoded by {fields['encoder_fingerprint']}, expected "
                f"{encoder_fingerprint}: build without --reuse, or with the bundle that made it"
            )
        self._kb = KnowledgeBase.open(folder, verify=True)
        self.n_reused = 0

    def of(self, entities: Sequence[Entity]) -> tuple[list[int], FloatArray]:
        """Return the vectors of records whose encoder text is unchanged.

        Returns:
            Their positions, ascending, and their vectors, float32, (n_known, dim).
        """
        held = [self._kb.row_of(entity.entity_id) for entity in entities]
        known = [
            at
            for at, (row, entity) in enumerate(zip(held, entities, strict=True))
            if row is not None and encoder_text(self._kb.record(row)) == encoder_text(entity)
        ]
        self.n_reused += len(known)
        rows = np.array([held[at] for at in known], dtype=np.int64)
        return known, self._kb.index.reconstruct(rows)
