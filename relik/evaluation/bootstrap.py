"""The bootstrap over documents, for one system and for the difference of two.

Source:
    Efron 1979 (percentile intervals); Koehn 2004 (resampling the same documents for two systems).
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from relik.errors import ConfigError

Float64Array: TypeAlias = NDArray[np.float64]

# Resamples are drawn in blocks, which bounds memory on large files.
_BLOCK = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """How often documents are drawn anew.

    Args:
        resamples: Number of resamples, at least 1.
        seed: Where drawing starts, at least 0; the same seed gives the same figures.

    Raises:
        ConfigError: A number is too small.
    """

    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.resamples < 1 or self.seed < 0:
            raise ConfigError(
                f"got {self.resamples} resamples and seed {self.seed}, "
                "expected at least 1 and at least 0: change them"
            )


def resampled_sums(table: Float64Array, bootstrap: Bootstrap) -> Float64Array:
    """Draw documents with replacement and sum their rows.

    Args:
        table: (n_documents, n_columns).
        bootstrap: How often, and from which seed.

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


def sign_flips(observed: float, drawn: Float64Array) -> float:
    """Rate how easily a difference could be chance.

    Args:
        observed: The difference on all documents.
        drawn: (n_resamples,), the difference on each resample.

    Returns:
        The two-sided p-value, 0..1: twice the share of resamples in which the difference is
        none or has the other sign. 1 where there is no difference.
    """
    if observed == 0.0 or not len(drawn):
        return 1.0
    flipped = drawn <= 0.0 if observed > 0.0 else drawn >= 0.0
    return min(1.0, 2.0 * float(flipped.mean()))
