"""Triples of a batch: which relation holds between which spans."""

from collections.abc import Sequence

import numpy as np

from relik.backends import ReaderBackend
from relik.config import CalibrationConfig
from relik.reader.decode import DecodedSpan, DecodedTriple, calibrated, softmax, with_ends
from relik.reader.inputs import Row
from relik.reader.rules.batch_rules import BatchRules
from relik.reader.spans import span_columns
from relik.types import EntitySpan, FloatArray, IntArray, Triple

PAIRS_AT_ONCE = 2048


def relate_spans(
    backend: ReaderBackend,
    hidden: object,
    relation_vectors: FloatArray,
    rows: Sequence[Row],
    spans: Sequence[Sequence[DecodedSpan]],
    *,
    least: float,
) -> list[list[DecodedTriple]]:
    """Relate the spans of each row.

    Args:
        backend: Runs the stage `relate`.
        hidden: States of the batch.
        relation_vectors: Float32, (n_rows, n_relations, width).
        rows: Rows.
        spans: Spans of each row.
        least: Least raw score of a triple that is kept, 0..1.
    """
    found: list[list[DecodedTriple]] = [[] for _ in rows]
    counts = [len(of_row) for of_row in spans]
    pairs = ordered_pairs(counts)
    if not len(pairs) or not relation_vectors.shape[1]:
        return found
    places = span_columns([[(s.start, s.end) for s in of_row] for of_row in spans])
    begins = np.concatenate(([0], np.cumsum(counts)))
    for first in range(0, len(pairs), PAIRS_AT_ONCE):
        part = pairs[first : first + PAIRS_AT_ONCE]
        logits = backend.relate(hidden, *places, part[:, 0], part[:, 1], relation_vectors)
        scores = softmax(logits)[..., 1]  # (n_pairs, n_relations)
        for k, relation in np.argwhere(scores >= least):
            subject, obj = part[k]
            i = int(places[0][subject])
            if relation < len(rows[i].built.relation_positions):
                found[i].append(
                    DecodedTriple(
                        int(subject - begins[i]),
                        int(obj - begins[i]),
                        int(relation),
                        float(scores[k, relation]),
                    )
                )
    return found


def scored_triples(
    i: int,
    spans: Sequence[EntitySpan],
    related: Sequence[DecodedTriple],
    rules: BatchRules,
    calibration: CalibrationConfig,
) -> list[Triple]:
    """Turn the triples of a row into those of the document, with calibrated scores.

    Args:
        i: Number of the row.
        spans: All decoded spans of the row.
        related: Triples between them.
        rules: The rules over the batch.
        calibration: How raw scores become probabilities.
    """
    relations = rules.rows[i].candidates.relations
    lowered = rules.lowered_triples(i, spans, related)
    return [
        Triple(
            subject=spans[found.subject].span,
            relation_id=relations[found.relation].entity_id,
            object=spans[found.object].span,
            score=calibrated(
                with_ends(
                    raw,
                    (spans[found.subject].score, spans[found.object].score),
                    calibration.triple_ends,
                ),
                calibration.triple_scale,
                calibration.triple_shift,
            ),
        )
        for found, raw in zip(related, lowered, strict=True)
    ]


def ordered_pairs(counts: list[int]) -> IntArray:
    """Give all ordered pairs of different spans of the same row.

    Args:
        counts: Spans of each row.

    Returns:
        Int64, (n_pairs, 2), numbered over the whole batch.
    """
    parts = [np.zeros((0, 2), dtype=np.int64)]
    first = 0
    for count in counts:
        subject, obj = np.divmod(np.arange(count * count, dtype=np.int64), max(count, 1))
        apart = subject != obj
        parts.append(np.stack((subject[apart], obj[apart]), axis=1) + first)
        first += count
    return np.concatenate(parts)
