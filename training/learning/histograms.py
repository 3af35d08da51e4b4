"""Histograms of an update's report: rewards, advantages, the gap between trainer and server, and the age of tokens."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from storage.stages import Histogram
from training.sampling.samples import Sample

BINS = 20
GAP_EDGES = (0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0)
"""In nats: numerical error is some 1e-6 in float32 and 1e-2 in bfloat16, another model's answer above 1."""


def of_rewards(rewards: Sequence[float]) -> Histogram:
    """Rewards in bins of a tenth from 0 to 1, or over their range where they leave it."""
    low, high = min(0.0, *rewards), max(1.0, *rewards)
    return histogram(rewards, np.linspace(low, high, 11))


def of_advantages(samples: Sequence[Sample]) -> Histogram:
    """Advantages of samples in equal bins, as far below 0 as above."""
    found = [sample.advantage for sample in samples]
    bound = max(1e-6, *(abs(one) for one in found))
    return histogram(found, np.linspace(-bound, bound, BINS + 1))


def of_gaps(gaps: ArrayLike) -> Histogram:
    """|log pi - log mu| of tokens in nats, in bins that widen."""
    return histogram(gaps, GAP_EDGES)


def of_lags(samples: Sequence[Sample], parent: int) -> Histogram:
    """Tokens by the age of their policy: `counts[i]` were sampled i versions before the trained one."""
    lags = [max(0, parent - sample.policy_version) for sample in samples]
    counts = np.bincount(lags, weights=[len(sample.token_ids) for sample in samples])
    return Histogram(edges=tuple(range(len(counts) + 1)), counts=tuple(int(count) for count in counts))


def histogram(values: ArrayLike, edges: ArrayLike) -> Histogram:
    """Counts values between ascending edges; the first and the last bin take what lies outside. Values are finite."""
    bounds = np.asarray(edges, dtype=np.float64)
    counts, _ = np.histogram(np.clip(np.asarray(values, dtype=np.float64), bounds[0], bounds[-1]), bins=bounds)
    return Histogram(edges=tuple(bounds.tolist()), counts=tuple(counts.tolist()))
