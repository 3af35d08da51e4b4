"""Assigns samples to optimiser steps and to forward passes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Microbatch(NamedTuple):
    """One forward and backward pass."""

    rows: tuple[int, ...]
    """Indices of samples."""
    step_tokens: int
    """Sampled tokens in the whole optimiser step."""
    step_samples: int
    """Samples in the whole optimiser step."""
    blank: bool = False
    """True for a pass that only fills up an optimiser step: its tokens are masked."""


class Plan(NamedTuple):
    """All passes of an update, in order. Each optimiser step takes the same number of them."""

    microbatches: list[Microbatch]
    accumulation: int
    """Passes per optimiser step."""

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return len(self.microbatches) // self.accumulation


def plan(
    lengths: Sequence[int],
    tokens: Sequence[int],
    *,
    minibatches: int,
    epochs: int,
    micro_batch_size: int,
    seed: int,
    smallest_minibatch: int = 1,
) -> Plan:
    """Shuffles samples into optimiser steps of nearly equal size, and sorts each by length, which keeps padding small.

    `lengths` are the samples' total lengths, `tokens` the sampled ones. Minibatches with fewer than
    `smallest_minibatch` samples are avoided by reducing their number. Ten samples in four minibatches of micro batches
    of two: steps of 3, 3, 2, 2 samples, two passes each.
    """
    count = max(1, min(minibatches, len(lengths) // smallest_minibatch))
    accumulation = -(-len(lengths) // count)  # samples of the largest step ...
    accumulation = -(-accumulation // micro_batch_size)  # ... in passes, both rounded up
    rng = np.random.default_rng(seed)
    microbatches: list[Microbatch] = []
    for _ in range(epochs):
        for window in np.array_split(rng.permutation(len(lengths)), count):
            by_length = sorted((int(row) for row in window), key=lambda row: lengths[row])
            step_tokens = sum(tokens[row] for row in by_length)
            for part in np.array_split(by_length, accumulation):
                rows = tuple(int(row) for row in part)
                microbatches.append(Microbatch(rows or (by_length[0],), step_tokens, len(by_length), blank=not rows))
    return Plan(microbatches, accumulation)
