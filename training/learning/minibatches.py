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
    """All passes of an update, in order. Each optimiser step takes the same number of them, and so does each process:
    pass i is that of process i mod `processes`.
    """

    microbatches: list[Microbatch]
    accumulation: int
    """Passes per optimiser step and process."""
    processes: int = 1

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return len(self.microbatches) // (self.accumulation * self.processes)


def plan(
    lengths: Sequence[int],
    tokens: Sequence[int],
    *,
    minibatches: int,
    epochs: int,
    micro_batch_size: int,
    seed: int,
    smallest_minibatch: int = 1,
    processes: int = 1,
    micro_batch_tokens: int | None = None,
) -> Plan:
    """Shuffles samples into optimiser steps of nearly equal size, and sorts each by length, which keeps padding small.

    `lengths` are the samples' total lengths, `tokens` the sampled ones. Minibatches with fewer than
    `smallest_minibatch` samples are avoided by reducing their number. Ten samples in four minibatches of micro batches
    of two: steps of 3, 3, 2, 2 samples, two passes each. With several processes the steps are the same, and the passes of
    each are spread over the processes, longest beside longest. With `micro_batch_tokens` a pass has at most so many tokens, see `within`.
    """
    count = max(1, min(minibatches, len(lengths) // smallest_minibatch))
    rng = np.random.default_rng(seed)
    steps: list[list[int]] = []
    for _ in range(epochs):
        for window in np.array_split(rng.permutation(len(lengths)), count):
            steps.append(sorted((int(row) for row in window), key=lambda row: lengths[row]))
    if micro_batch_tokens is None:
        passes = -(-len(lengths) // count)  # samples of the largest step ...
        passes = -(-passes // micro_batch_size)  # ... in passes, both rounded up
    else:
        passes = max(len(within(rows, lengths, micro_batch_size, micro_batch_tokens)) for rows in steps)
    accumulation = -(-passes // processes)
    microbatches: list[Microbatch] = []
    for by_length in steps:
        step_tokens = sum(tokens[row] for row in by_length)
        if micro_batch_tokens is None:
            parts = [[int(row) for row in part] for part in np.array_split(by_length, accumulation * processes)]
        else:
            parts = within(by_length, lengths, micro_batch_size, micro_batch_tokens)
            parts += [[]] * (accumulation * processes - len(parts))
        for part in parts:
            rows = tuple(part) or (by_length[0],)
            microbatches.append(Microbatch(rows, step_tokens, len(by_length), blank=not part))
    return Plan(microbatches, accumulation, processes)


def picture_row(
    passes: Sequence[Sequence[int]], mine: int, pictured: Sequence[bool], lengths: Sequence[int]
) -> list[int]:
    """The row that pass `mine` takes along, masked, among passes that processes make at the same time: [], or one row.

    Processes that share the weights must gather the same ones, so where one pass has pictures, all go through the vision tower.
    Example: passes [[0], [1]] of which only row 0 has pictures: the second takes row 0 along, the first nothing.
    """
    if any(pictured[row] for row in passes[mine]):
        return []
    with_pictures = [row for rows in passes for row in rows if pictured[row]]
    return [min(with_pictures, key=lambda row: lengths[row])] if with_pictures else []


def within(by_length: Sequence[int], lengths: Sequence[int], most: int, budget: int | None) -> list[list[int]]:
    """Cuts rows, sorted by length, into passes of at most `most` rows and `budget` tokens, padding included.

    A row that is longer than the budget has a pass of its own. Example: rows of 2, 2 and 5 tokens within 8 tokens: [2, 2], [5].
    """
    parts: list[list[int]] = []
    for row in by_length:
        fits = parts and len(parts[-1]) < most and (budget is None or (len(parts[-1]) + 1) * lengths[row] <= budget)
        if fits:
            parts[-1].append(row)
        else:
            parts.append([row])
    return parts
