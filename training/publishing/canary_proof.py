"""Decides from log-probabilities which weights a server holds: the new weights, or the weights they were trained from.

        old ──────────────────────────── new          the trainer's answers under both weights, a point each
         0                                1           (one axis per token)
                          server: its position on this line; its distance from the line gives the standard error

The distance from the line is the noise of another implementation and precision, so the margin calibrates itself: in float32
two policies that differ by 0.0001 nats can be distinguished, in bfloat16 it takes more tokens or more training.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

NEAR = 0.25
"""Largest distance of the position from 1 that still means the new weights."""
SHARPNESS = NEAR / 3
"""Largest standard error of a position that decides: old weights are then 9 of them away, new ones leave 3 to noise."""
FEWEST_TOKENS = 8
"""Fewest tokens whose standard error is used."""


class Comparison(NamedTuple):
    """Result of a comparison. Example: `Comparison(gap=8e-7, separation=0.0055, position=1.0, discriminates=True)`."""

    gap: float
    """Mean absolute difference between the server and the new weights, in nats."""
    separation: float | None
    """Mean absolute difference between the new and the old weights; None when the old weights' answers are not
    known."""
    position: float | None
    """Position of the server's answers: 0 is the old weights, 1 the new ones."""
    discriminates: bool
    """True if the position distinguishes old from new weights."""

    @property
    def says_new(self) -> bool:
        """True if the server answers like the new weights. Only meaningful if `discriminates`."""
        return self.position is not None and abs(self.position - 1) <= NEAR


def compare(served: Sequence[float], new: Sequence[float], old: Sequence[float]) -> Comparison:
    """Compares the server's answers with the trainer's; `old` may be empty."""
    gap = mean_gap(served, new)
    if len(old) != len(new):
        return Comparison(gap, None, None, False)
    separation = mean_gap(new, old)
    moved = sum((n - o) ** 2 for n, o in zip(new, old, strict=True))
    if moved == 0.0:
        return Comparison(gap, separation, None, False)
    position = sum((s - o) * (n - o) for s, n, o in zip(served, new, old, strict=True)) / moved
    off_line = sum((s - o - position * (n - o)) ** 2 for s, n, o in zip(served, new, old, strict=True))
    error = math.sqrt(off_line / max(1, len(new) - 1) / moved)
    return Comparison(gap, separation, position, len(new) >= FEWEST_TOKENS and error <= SHARPNESS)


def mean_gap(one: Sequence[float], other: Sequence[float]) -> float:
    """Mean absolute difference, in nats."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)
