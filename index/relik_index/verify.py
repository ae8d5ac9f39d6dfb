"""Check a knowledge index: its files, that its parts agree, and that records find themselves."""

from pathlib import Path

import numpy as np

from relik.errors import BundleCorruptError
from relik.kb import KnowledgeBase, normalise
from relik.names.trie import PRIMARY
from relik.types import IntArray
from relik.vectors.no_vectors import NO_VECTORS

_SEED = 20240803
_SAMPLE = 256
# A record with the same vector may stand in its place.
_TIE = 1e-5
_APPROXIMATE_RANK = 10
_APPROXIMATE_SHARE = 0.9


def verify_index(path: Path, *, sample: int = _SAMPLE) -> dict[str, object]:
    """Check a knowledge index.

    Args:
        path: Its folder.
        sample: Records that are looked up by id and name, and searched by their own vector.

    Returns:
        Version, rows, dimension, kind of vectors, records sampled, and the share of those that
        found themselves: first where vectors are exact, else among the first ten; None where
        there are no vectors.

    Raises:
        BundleNotFoundError: There is no index.
        BundleVersionError: It was written in a newer format.
        BundleCorruptError: A file is missing or altered, or the parts do not agree; the message
            says which.
        BundleError: The folder holds something else.
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
            f"{path}: {share:.1%} of {len(rows)} records find themselves by their own vector, "
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
            f"{path}: the name {entity.name!r} does not lead to row {row}: build the index again"
        )


def _self_recall(kb: KnowledgeBase, rows: IntArray, *, top_k: int) -> float:
    vectors = kb.index.reconstruct(rows)  # (n, dim)
    own = (vectors.astype(np.float64) ** 2).sum(axis=1)  # (n,)
    found, scores = kb.index.search(vectors, top_k=top_k)  # (n, top_k)
    itself = (found == rows[:, None]).any(axis=1)
    if kb.manifest.fields.get("unit_vectors") is False:
        # A longer vector may be nearer to another than that one is to itself.
        namesake = scores[:, -1] >= own * (1 - _TIE)
    else:
        namesake = np.abs(scores[:, -1] - own) <= _TIE
    return float((itself | namesake).mean())
