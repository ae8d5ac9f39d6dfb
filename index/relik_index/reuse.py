"""Vectors of another index: what it has encoded, the same encoder need not encode again."""

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
        folder: The index; its vectors are exact.
        encoder_fingerprint: Names the encoder that would make them anew.

    Raises:
        ConfigError: It has other vectors than this encoder makes, or has them quantised.
        BundleError: It cannot be opened.
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
        """Give the vectors of records whose text is the same there.

        Args:
            entities: Records.

        Returns:
            Positions of those that are known, ascending, and their vectors, float32,
            (n_known, dim).
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
