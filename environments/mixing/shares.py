"""Shares of a mix's parts in an iteration."""

import random
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import floor
from typing import TypeVar

T = TypeVar("T")


def counts_of(shares: Sequence[float], count: int, *, key: str) -> list[int]:
    """How many of `count` tasks each part gives, in the order of `shares`, which are relative to their sum.

    Systematic sampling: a part gets its exact share, rounded up or down, and on average over the keys exactly its
    share; so a part with a small share is played in some iterations although an iteration has few groups.
    Example: `counts_of([2, 1], 30, key="0/train/0") == [20, 10]`
    """
    total = sum(shares)
    # A whole number that floating point puts just below must not lose one.
    offset = random.Random(f"{key}/shares").random() * (1 - 1e-9)
    ends = [0, *(floor(count * (end / total) + offset + 1e-9) for end in accumulate(shares))]
    ends[-1] = count
    return [end - start for start, end in pairwise(ends)]


def in_turn(parts: Sequence[Sequence[T]]) -> list[T]:
    """The members of all parts, one of each in turn."""
    longest = max((len(part) for part in parts), default=0)
    return [part[place] for place in range(longest) for part in parts if place < len(part)]
