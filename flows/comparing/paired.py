"""Paired difference of two success rates over the same tasks, with its interval and its significance.

Pairing by task removes the spread between easy and hard tasks, which is most of the spread (Miller 2024, "Adding Error Bars
to Evals", section 4.2). scipy has both methods; a t-test would assume a normal distribution of differences that are
mostly 0, 1 and -1.
"""

from collections.abc import Sequence
from typing import NamedTuple

RESAMPLES = 9_999
FEWEST = 2
"""Tasks below which neither an interval nor a p-value means anything."""


class PairedDifference(NamedTuple):
    """Mean difference, second minus first, over tasks: share of successes, -1 to 1."""

    difference: float
    low: float
    high: float
    """95 % interval by bootstrap over tasks (percentile method)."""
    p_value: float
    """Two-sided sign-flip permutation test of "no difference"."""
    tasks: int


def paired_difference(first: Sequence[float], second: Sequence[float], *, seed: int = 0) -> PairedDifference | None:
    """Compares rates of the same tasks in the same order; None for fewer than two tasks.

    Equal sequences have p = 1 and an interval of width 0. Raises ValueError for different lengths.
    """
    import numpy as np
    from scipy.stats import bootstrap, permutation_test

    if len(first) != len(second):
        raise ValueError(f"expected rates of the same tasks, found {len(first)} and {len(second)}")
    differences = np.asarray(second, float) - np.asarray(first, float)
    if len(differences) < FEWEST:
        return None
    mean = float(differences.mean())
    if not differences.any():
        return PairedDifference(0.0, 0.0, 0.0, 1.0, len(differences))
    random = np.random.default_rng(seed)
    test = permutation_test(
        (differences,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        rng=random,
    )
    if (differences == differences[0]).all():  # the bootstrap of a constant is that constant
        low = high = mean
    else:
        interval = bootstrap(
            (differences,), np.mean, n_resamples=RESAMPLES, method="percentile", vectorized=True, rng=random
        ).confidence_interval
        low, high = float(interval.low), float(interval.high)
    return PairedDifference(mean, low, high, float(test.pvalue), len(differences))
