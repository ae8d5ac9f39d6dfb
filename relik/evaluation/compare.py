"""Two systems on the same documents: how far their figures differ, and whether by chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from relik.errors import InputError
from relik.evaluation.metrics import Bootstrap, Counts, Float64Array, resampled_sums, sign_flips

MATCHES = ("f1", "precision", "recall")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """Figures that are shares, taken apart by document so that documents can be drawn anew.

    Args:
        names: Name of each figure.
        parts: (n_documents, n_names), what counts.
        wholes: (n_documents, n_names), what it is a share of.
    """

    names: tuple[str, ...]
    parts: Float64Array
    wholes: Float64Array


def match_ratios(documents: Sequence[Counts]) -> Ratios:
    """Take apart precision, recall and F1."""
    table = np.array([(d.right, d.wrong, d.missed) for d in documents], dtype=np.float64)
    right, wrong, missed = table.reshape(-1, 3).T
    return Ratios(
        names=MATCHES,
        parts=np.stack([2 * right, right, right], axis=1),
        wholes=np.stack([2 * right + wrong + missed, right + wrong, right + missed], axis=1),
    )


def accuracy_ratios(documents: Sequence[Counts]) -> Ratios:
    """Take apart an accuracy, under the three names that `metrics.accuracy` gives it."""
    # A wrong link is a miss as well: precision, recall and F1 then are the share that is right.
    return match_ratios([Counts(right=d.right, wrong=d.wrong, missed=d.wrong) for d in documents])


def recall_ratios(
    hits: Sequence[Sequence[int]], totals: Sequence[int], *, cutoffs: Sequence[int]
) -> Ratios:
    """Take apart recall at each cutoff.

    Args:
        hits: Per document, hits within each cutoff, (n_documents, n_cutoffs).
        totals: Per document, what was to be hit, (n_documents,).
    """
    parts = np.array(hits, dtype=np.float64).reshape(len(totals), len(cutoffs))
    whole = np.array(totals, dtype=np.float64)[:, None]
    return Ratios(
        names=tuple(map(str, cutoffs)), parts=parts, wholes=np.broadcast_to(whole, parts.shape)
    )


def compare(a: Ratios, b: Ratios, *, bootstrap: Bootstrap) -> dict[str, object]:
    """Give the difference of each figure, A minus B, with a paired bootstrap over documents.

    Args:
        b: The same figures of the other, on the same documents in the same order.

    Returns:
        By name of the figure `delta`, -1..1; `ci95`, its interval; `p`, two-sided, 0..1.

    Raises:
        InputError: The two have other figures or another number of documents.
    """
    if a.names != b.names or a.parts.shape != b.parts.shape:
        raise InputError(
            f"got {len(a.parts)} documents with {a.names} and {len(b.parts)} with {b.names}, "
            "expected the same: measure both on the same documents"
        )
    table = np.concatenate([a.parts, a.wholes, b.parts, b.wholes], axis=1)
    drawn = _subtracted(resampled_sums(table, bootstrap))  # (n_resamples, n_names)
    observed = _subtracted(table.sum(axis=0, keepdims=True))[0]
    return {
        name: {
            "delta": _rounded(observed[i]),
            "ci95": [_rounded(bound) for bound in np.percentile(drawn[:, i], [2.5, 97.5])],
            "p": _rounded(sign_flips(float(observed[i]), drawn[:, i])),
        }
        for i, name in enumerate(a.names)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference of a comparison, to be shown.

    Args:
        name: The figure, such as `f1` or `with_nil f1`.
        delta: A minus B, -1..1.
        low: Lower end of its interval.
        high: Upper end.
        p: Two-sided p-value, 0..1.
    """

    name: str
    delta: float
    low: float
    high: float
    p: float

    def told_p(self, resamples: int) -> str:
        """Give the p-value as far as so many resamples can tell it.

        Returns:
            The value, or what it is less than where no resample has the other sign.
        """
        return f"{self.p:.3f}" if self.p else f"< {2 / resamples:.2g}"


def differences(comparison: Mapping[str, object], prefix: str = "") -> list[Difference]:
    """List the differences of a comparison, however deep they lie.

    Returns:
        The differences, in order.
    """
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


def _subtracted(sums: Float64Array) -> Float64Array:
    """Divide the four equal blocks of columns pairwise and subtract.

    Args:
        sums: (n, 4 * n_names).

    Returns:
        (n, n_names).
    """
    part_a, whole_a, part_b, whole_b = np.split(sums, 4, axis=1)
    return _shares(part_a, whole_a) - _shares(part_b, whole_b)


def _shares(part: Float64Array, whole: Float64Array) -> Float64Array:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _rounded(value: float) -> float:
    # Adding zero turns -0.0 into 0.0.
    return round(float(value), 4) + 0.0
