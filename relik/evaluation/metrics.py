"""Micro-averaged precision, recall and F1 with bootstrap intervals, from counts per document."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from relik.errors import ConfigError

Float64Array: TypeAlias = NDArray[np.float64]

# Resamples per matrix product, which bounds memory on large files.
_BLOCK = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """Settings of a bootstrap over documents.

    Args:
        resamples: Number of resamples, at least 1.
        seed: At least 0; the same seed gives the same figures.

    Raises:
        ConfigError: A number is too small.
    """

    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.resamples < 1 or self.seed < 0:
            raise ConfigError(
                f"got {self.resamples} resamples and seed {self.seed}, "
                "expected at least 1 and at least 0: raise the one that is too small"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """True positives, false positives and false negatives of one document."""

    right: int = 0
    wrong: int = 0
    missed: int = 0


def precision_recall_f1(documents: Sequence[Counts]) -> dict[str, object]:
    """Return micro-averaged precision, recall and F1 over documents.

    Returns:
        `precision`, `recall` and `f1`, 0..1 and 0.0 where undefined; `ci95`, the bootstrap
        interval of f1; `counts`, the sums.
    """
    table = np.array([(d.right, d.wrong, d.missed) for d in documents], dtype=np.float64)
    table = table.reshape(-1, 3)  # (n_documents, 3)
    right, wrong, missed = table.sum(axis=0)
    return {
        "precision": _rounded(_ratio(right, right + wrong)),
        "recall": _rounded(_ratio(right, right + missed)),
        "f1": _rounded(_f1(table.sum(axis=0)[None])[0]),
        "ci95": _interval(_f1(resampled_sums(table, Bootstrap()))),
        "counts": {"right": int(right), "wrong": int(wrong), "missed": int(missed)},
    }


def accuracy(documents: Sequence[Counts]) -> dict[str, object]:
    """Return the accuracy over documents in the shape of `precision_recall_f1`.

    Returns:
        `precision`, `recall` and `f1`, each the accuracy; `ci95`; `counts` of right and wrong.
    """
    right, wrong = sum(d.right for d in documents), sum(d.wrong for d in documents)
    rated = precision_recall_f1(wrong_as_missed(documents))
    return {**rated, "counts": {"right": right, "wrong": wrong}}


def wrong_as_missed(documents: Sequence[Counts]) -> list[Counts]:
    """Count wrong links as misses too, so that precision, recall and F1 equal the accuracy."""
    return [Counts(right=d.right, wrong=d.wrong, missed=d.wrong) for d in documents]


def recall_at(
    hits: Sequence[Sequence[int]], totals: Sequence[int], *, cutoffs: Sequence[int]
) -> dict[str, object]:
    """Return recall at each cutoff, micro-averaged over documents.

    Args:
        hits: Per document, hits within each cutoff, (n_documents, n_cutoffs).
        totals: Per document, gold items, (n_documents,).

    Returns:
        `recall_at`, a share 0..1 by cutoff; `ci95`, its bootstrap interval by cutoff; `counts`.
    """
    table = np.zeros((len(totals), len(cutoffs) + 1))
    if totals:
        table[:, :-1], table[:, -1] = hits, totals
    total = table[:, -1].sum()
    sums = resampled_sums(table, Bootstrap())
    return {
        "recall_at": {
            str(cutoff): _rounded(_ratio(table[:, i].sum(), total))
            for i, cutoff in enumerate(cutoffs)
        },
        "ci95": {
            str(cutoff): _interval(ratios(sums[:, i], sums[:, -1]))
            for i, cutoff in enumerate(cutoffs)
        },
        "counts": {"pairs": int(total)},
    }


def resampled_sums(table: Float64Array, bootstrap: Bootstrap) -> Float64Array:
    """Draw documents with replacement and sum their rows.

    Args:
        table: (n_documents, n_columns).

    Returns:
        (n_resamples, n_columns); one row of zeros where there are no documents.
    """
    n_documents = len(table)
    if n_documents == 0:
        return np.zeros((1, table.shape[1]))
    rng = np.random.default_rng(bootstrap.seed)
    share = np.full(n_documents, 1.0 / n_documents)
    blocks = []
    for first in range(0, bootstrap.resamples, _BLOCK):
        size = min(_BLOCK, bootstrap.resamples - first)
        blocks.append(rng.multinomial(n_documents, share, size=size) @ table)
    return np.concatenate(blocks)


def bootstrap_p_value(observed: float, resampled: Float64Array) -> float:
    """Return the two-sided p-value of a difference, 0..1.

    It is twice the share of resamples in which the difference is 0 or has the other sign, and 1
    where no difference was observed.

    Args:
        resampled: (n_resamples,), the difference on each resample.
    """
    if observed == 0.0 or not len(resampled):
        return 1.0
    flipped = resampled <= 0.0 if observed > 0.0 else resampled >= 0.0
    return min(1.0, 2.0 * float(flipped.mean()))


def _f1(sums: Float64Array) -> Float64Array:
    right, wrong, missed = sums.T
    return ratios(2 * right, 2 * right + wrong + missed)


def ratios(part: Float64Array, whole: Float64Array) -> Float64Array:
    """Divide element by element; 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0


def _interval(values: Float64Array) -> list[float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return [_rounded(low), _rounded(high)]


def _rounded(value: float) -> float:
    return round(float(value), 4)
