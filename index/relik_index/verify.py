"""Verification of a knowledge index: checksums, lookups by id and name, and self-recall."""

from pathlib import Path

import numpy as np

from relik.errors import BundleCorruptError
from relik.kb import KnowledgeBase, normalise
from relik.names.trie import PRIMARY
from relik.types import IntArray
from relik.vectors.no_vectors import NO_VECTORS

_SEED = 20240803
_SAMPLE = 256
# Tolerance of scores: another record with the same vector may rank before the sampled one.
_TIE = 1e-5
_APPROXIMATE_RANK = 10
_APPROXIMATE_SHARE = 0.9


def verify_index(path: Path, *, sample: int = _SAMPLE) -> dict[str, object]:
    """Check a knowledge index.

    Args:
        sample: Number of records to look up by id and name, and to search by their own vector.

    Returns:
        Version, rows, dimension, kind of vectors, sample size and self-recall: the share of
        sampled records that their own vector finds, at rank 1 in an exact index, else within the
        first ten; None in an index without vectors.

    Raises:
        BundleNotFoundError: The index does not exist.
        BundleVersionError: Its format is newer.
        BundleCorruptError: A file is missing or altered, or parts contradict each other; the
            message names them.
        BundleError: The folder is not a knowledge index.
    """
    kb = KnowledgeBase.open(path, verify=True)
    random = np.random.default_rng(_SEED)
    rows = np.sort(random.choice(len(kb), min(sample, len(kb)), replace=False)).astype(np.int64)
    for row in rows.tolist():
        _check_lookups(kb, row, path)
    kind = kb.manifest.value("vectors", str)
    share = None
    if kind != NO_VECTORS:
        share = _self_recall(kb, rows, top_k=1 if kind == "exact" else _APPROXIMATE_RANK)
    least = 1.0 if kind == "exact" else _APPROXIMATE_SHARE
    if share is not None and share < least:
        raise BundleCorruptError(
            f"{path}: got a self-recall of {share:.1%} of {len(rows)} records, "
            f"expected {least:.0%} or more: build the index again"
        )
    return {
        "version": kb.version,
        "rows": len(kb),
        "dim": kb.dim,
        "vectors": kind,
        "sampled": len(rows),
        "self_recall": None if share is None else round(share, 4),
    }


def _check_lookups(kb: KnowledgeBase, row: int, path: Path) -> None:
    entity = kb.record(row)
    found = kb.row_of(entity.entity_id)
    if found != row:
        raise BundleCorruptError(
            f"{path}: the id {entity.entity_id!r} leads to row {found}, expected {row}: "
            "build the index again"
        )
    key = normalise(entity.name)
    matches = kb.names.lookup(key)
    if key and not any(match.row == row and match.flags & PRIMARY for match in matches):
        raise BundleCorruptError(
            f"{path}: got no entry of row {row} for its name {entity.name!r}, expected one: build "
            "the index again"
        )


def _self_recall(kb: KnowledgeBase, rows: IntArray, *, top_k: int) -> float:
    vectors = kb.index.reconstruct(rows)  # (n, dim)
    squared_norms = (vectors.astype(np.float64) ** 2).sum(axis=1)  # (n,)
    found, scores = kb.index.search(vectors, top_k=top_k)  # (n, top_k)
    itself = (found == rows[:, None]).any(axis=1)
    if kb.manifest.fields.get("unit_vectors") is False:
        # Inner products of longer vectors may exceed that of a vector with itself.
        tied = scores[:, -1] >= squared_norms * (1 - _TIE)
    else:
        tied = np.abs(scores[:, -1] - squared_norms) <= _TIE
    return float((itself | tied).mean())
