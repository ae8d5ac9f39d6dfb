"""Differences between two systems on the same documents, with a paired bootstrap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from relik.errors import InputError
from relik.evaluation.metrics import (
    Bootstrap,
    Counts,
    Float64Array,
    bootstrap_p_value,
    ratios,
    resampled_sums,
    wrong_as_missed,
)

MATCHES = ("f1", "precision", "recall")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """Numerator and denominator of figures per document, for resampling.

    Args:
        names: Name of each figure.
        parts: (n_documents, n_names), numerators.
        wholes: (n_documents, n_names), denominators.
    """

    names: tuple[str, ...]
    parts: Float64Array
    wholes: Float64Array


def match_ratios(documents: Sequence[Counts]) -> Ratios:
    """Return precision, recall and F1 as ratios per document."""
    table = np.array([(d.right, d.wrong, d.missed) for d in documents], dtype=np.float64)
    right, wrong, missed = table.reshape(-1, 3).T
    return Ratios(
        names=MATCHES,
        parts=np.stack([2 * right, right, right], axis=1),
        wholes=np.stack([2 * right + wrong + missed, right + wrong, right + missed], axis=1),
    )


def accuracy_ratios(documents: Sequence[Counts]) -> Ratios:
    """Return an accuracy as ratios per document, under the three names of `metrics.accuracy`."""
    return match_ratios(wrong_as_missed(documents))


def recall_ratios(
    hits: Sequence[Sequence[int]], totals: Sequence[int], *, cutoffs: Sequence[int]
) -> Ratios:
    """Return recall at each cutoff as ratios per document.

    Args:
        hits: Per document, hits within each cutoff, (n_documents, n_cutoffs).
        totals: Per document, gold items, (n_documents,).
    """
    parts = np.array(hits, dtype=np.float64).reshape(len(totals), len(cutoffs))
    whole = np.array(totals, dtype=np.float64)[:, None]
    return Ratios(
        names=tuple(map(str, cutoffs)), parts=parts, wholes=np.broadcast_to(whole, parts.shape)
    )


def compare(a: Ratios, b: Ratios, *, bootstrap: Bootstrap) -> dict[str, object]:
    """Return the difference of each figure, A minus B, with a paired bootstrap over documents.

    Args:
        b: The same figures on the same documents in the same order as `a`.

    Returns:
        By name of the figure `delta`, -1..1; `ci95`, its interval; `p`, two-sided, 0..1.

    Raises:
        InputError: The two have different figures or numbers of documents.
    """
    if a.names != b.names or a.parts.shape != b.parts.shape:
        raise InputError(
            f"got {len(a.parts)} documents with {a.names} and {len(b.parts)} with {b.names}, "
            "expected the same: measure both on the same documents"
        )
    table = np.concatenate([a.parts, a.wholes, b.parts, b.wholes], axis=1)
    drawn = _ratio_differences(resampled_sums(table, bootstrap))  # (n_resamples, n_names)
    observed = _ratio_differences(table.sum(axis=0, keepdims=True))[0]
    return {
        name: {
            "delta": _rounded(observed[i]),
            "ci95": [_rounded(bound) for bound in np.percentile(drawn[:, i], [2.5, 97.5])],
            "p": _rounded(bootstrap_p_value(float(observed[i]), drawn[:, i])),
        }
        for i, name in enumerate(a.names)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The difference of one figure.

    Args:
        name: The figure, such as `f1` or `with_nil f1`.
        delta: A minus B, -1..1.
        low: Lower end of its interval.
        high: Upper end of its interval.
        p: Two-sided p-value, 0..1.
    """

    name: str
    delta: float
    low: float
    high: float
    p: float

    def p_text(self, resamples: int) -> str:
        """Return the p-value as text: as an upper bound where no resample has the other sign."""
        return f"{self.p:.3f}" if self.p else f"< {2 / resamples:.2g}"


def differences(comparison: Mapping[str, object], prefix: str = "") -> list[Difference]:
    """List the differences in a nested comparison, in order."""
    found: list[Difference] = []
    for name, value in comparison.items():
        inside = cast(Mapping[str, object], value)
        if "delta" in inside:
            low, high = cast(Sequence[float], inside["ci95"])
            delta, p = cast(float, inside["delta"]), cast(float, inside["p"])
            found.append(Difference(name=f"{prefix}{name}", delta=delta, low=low, high=high, p=p))
        else:
            found += differences(inside, f"{prefix}{name} ")
    return found


def _ratio_differences(sums: Float64Array) -> Float64Array:
    """Return A minus B, (n, n_names), from parts and wholes of A and B, (n, 4 * n_names)."""
    part_a, whole_a, part_b, whole_b = np.split(sums, 4, axis=1)
    return ratios(part_a, whole_a) - ratios(part_b, whole_b)


def _rounded(value: float) -> float:
    # Adding 0.0 turns -0.0 into 0.0.
    return round(float(value), 4) + 0.0
