"""Dense search joined by exact name matches, scored on one scale.

Every candidate, however found, gets both its cosine with the window and its name features, so
that context ranks namesakes and names rank what the encoder finds near. Source: ReLiK (ACL 2024)
section 3.1 for the dense part; the fusion is a logistic regression over the features of
`FusionWeights`.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from relik.config import RetrieverConfig
from relik.kb import KnowledgeBase
from relik.retriever.lexical import NameHit, match_names
from relik.types import Candidate, FloatArray, IntArray, TextEncoder, Window

_Odds: TypeAlias = npt.NDArray[np.float64]
MAX_HITS = 400
MAX_ODDS = 30.0
"""Log-odds beyond which scores could no longer be told from 0 and 1."""


@dataclass(frozen=True, slots=True)
class WindowFeatures:
    """Every candidate of a window, unranked.

    Args:
        rows: Int64, (n,), ascending, rows of the knowledge base.
        values: Float32, (n, 7): cosine, name, log prior, partial, nested, known, log1p of links.
        names: The name by which each was found; empty where only the dense search found it.
    """

    rows: IntArray
    values: FloatArray
    names: tuple[str, ...]


class HybridRetriever:
    """Proposes candidates for windows from the knowledge base that comes with each call.

    Args:
        encoder: Encodes windows; the one that made the vectors of the knowledge bases.
        config: Weights of the features.
        lexical: Also match names; off for relations, whose names seldom stand in a text.
    """

    def __init__(
        self, encoder: TextEncoder, config: RetrieverConfig, *, lexical: bool = True
    ) -> None:
        self._encoder = encoder
        self._fusion = config.fusion
        self._lexical = lexical

    def encode(self, windows: Sequence[Window]) -> FloatArray:
        """Encode windows, once for all knowledge bases: float32, (n_windows, dim)."""
        return self._encoder.encode([window.text for window in windows])

    def retrieve_encoded(
        self, windows: Sequence[Window], vectors: FloatArray, kb: KnowledgeBase, *, top_k: int
    ) -> list[tuple[Candidate, ...]]:
        """Return the candidates of windows that are encoded already.

        Args:
            windows: Windows; those of one document stand together, in order.
            vectors: Float32, (n_windows, dim).
            kb: Records, names and vectors.
            top_k: Candidates per window at most, at least 1.

        Returns:
            One tuple a window, best first, ties by id.
        """
        found = self.features(windows, vectors, kb, top_k=top_k)
        return [self._ranked(features, kb, top_k) for features in found]

    def features(
        self, windows: Sequence[Window], vectors: FloatArray, kb: KnowledgeBase, *, top_k: int
    ) -> list[WindowFeatures]:
        """Return every candidate of each window with its features, unranked.

        Args:
            windows: Windows; those of one document stand together, in order.
            vectors: Float32, (n_windows, dim).
            kb: Records, names and vectors.
            top_k: Candidates that the dense search adds.

        Returns:
            The candidates of each window, same order.
        """
        dense_rows, dense_scores = kb.index.search(vectors, top_k=top_k)
        hits: list[list[NameHit]] = [[] for _ in windows]
        if self._lexical:
            hits = match_names(kb, windows)
        return [
            _window_features(kb, vectors[i], dense_rows[i], dense_scores[i], hits[i])
            for i in range(len(windows))
        ]

    def _ranked(
        self, found: WindowFeatures, kb: KnowledgeBase, top_k: int
    ) -> tuple[Candidate, ...]:
        fusion, rows, features = self._fusion, found.rows, found.values
        # The first fields of `FusionWeights` are the weights of the features, in their order.
        weights = np.array(astuple(fusion)[: features.shape[1]], dtype=np.float64)
        odds = features @ weights + fusion.bias
        if fusion.rival_weight or fusion.leader_weight:
            odds = odds + self._among_rivals(found, odds)
        odds = np.clip(odds, -MAX_ODDS, MAX_ODDS)
        scores = 1.0 / (1.0 + np.exp(-odds))
        worst = np.sort(scores)[-top_k:][0] if len(scores) else 0.0
        best = np.flatnonzero(scores >= worst)
        named = [(float(scores[i]), kb.entity_id(int(rows[i])), int(i)) for i in best]
        named.sort(key=lambda item: (-item[0], item[1]))
        # Cut last: where scores tie at the border, ids decide who stays.
        return tuple(
            Candidate(
                entity_id=entity_id,
                score=score,
                rank=rank,
                source="lexical" if features[i, 1] else "dense",
            )
            for rank, (score, entity_id, i) in enumerate(named[:top_k])
        )

    def _among_rivals(self, found: WindowFeatures, odds: _Odds) -> _Odds:
        """Give what a candidate loses by better bearers of its name, or gains without any."""
        fusion = self._fusion
        rivals: defaultdict[str, list[float]] = defaultdict(list)
        for name, value in zip(found.names, odds.tolist(), strict=True):
            rivals[name].append(-value)
        for ranked in rivals.values():
            ranked.sort()
        # Equal ones are no better: the order of rows must not show.
        n_better = np.array(
            [
                bisect_left(rivals[name], -value) if name else 0
                for name, value in zip(found.names, odds.tolist(), strict=True)
            ],
            dtype=np.int64,
        )
        partial_or_nested = found.values[:, 3:5].any(axis=1)
        leads = np.array([bool(name) for name in found.names], dtype=bool) & (n_better == 0)
        gain: _Odds = fusion.leader_weight * (leads & ~partial_or_nested)
        return gain - fusion.rival_weight * np.log1p(n_better)


def _window_features(
    kb: KnowledgeBase,
    vector: FloatArray,
    dense: IntArray,
    cosines: FloatArray,
    hits: list[NameHit],
) -> WindowFeatures:
    if len(hits) > MAX_HITS:
        hits = sorted(hits, key=lambda hit: (-hit.log_prior, hit.row))[:MAX_HITS]
    cosine = {int(row): float(score) for row, score in zip(dense, cosines, strict=True)}
    missing = np.array([h.row for h in hits if h.row not in cosine], dtype=np.int64)
    if len(missing):
        scores = kb.index.reconstruct(missing) @ vector
        cosine.update(zip(missing.tolist(), scores.tolist(), strict=True))
    rows = sorted(cosine)
    place = {row: i for i, row in enumerate(rows)}
    features = np.zeros((len(rows), 7), dtype=np.float32)
    features[:, 0] = [cosine[row] for row in rows]
    for hit in hits:
        features[place[hit.row], 1:6] = (1, hit.log_prior, hit.partial, hit.nested, hit.known)
    features[:, 6] = np.log1p([kb.count(row) for row in rows])
    called = {hit.row: hit.name for hit in hits}
    return WindowFeatures(
        np.array(rows, dtype=np.int64), features, tuple(called.get(row, "") for row in rows)
    )
