"""Replay of verified successes of earlier iterations, from their stage folders: nothing is kept twice.

With `credit: success` they are a buffer from which steps are drawn, newer ones more often (WebGym). Otherwise the newest
success of a task joins a group in which all failed, so that the group has a signal (ARPO 2505.16282). Its tokens have
their own log-probabilities and version, so ratio, guard and `max_staleness` treat them as any other old token.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from agent.types import Trajectory
from training.sampling.crediting import Judged, Member

T = TypeVar("T")


class Played(NamedTuple):
    """A trajectory of an earlier iteration with its judge's reward."""

    trajectory: Trajectory
    reward: float


def as_members(earlier: Iterable[Played]) -> list[Member]:
    """The buffer as members with advantage 1, oldest iteration first."""
    oldest_first = sorted(earlier, key=lambda one: (one.trajectory.iteration, one.trajectory.id))
    return [Member(one.trajectory, one.reward, 1.0) for one in oldest_first]


def join_failed(groups: Iterable[list[Judged]], earlier: Iterable[Played], *, success: float) -> int:
    """Adds the newest earlier success of the same task to each group in which nobody succeeded. Returns their number.

    ARPO replaces a failure with it; here all failures stay.
    """
    newest: dict[str, Played] = {}
    for one in sorted(earlier, key=lambda one: (one.trajectory.iteration, one.trajectory.id)):
        newest[one.trajectory.task.id] = one
    joined = 0
    for group in groups:
        if not group or any(one.reward >= success for one in group):
            continue
        if found := newest.get(group[0].trajectory.task.id):
            group.append(Judged(found.trajectory, found.reward, 0.0, replayed=True))
            joined += 1
    return joined


def draw_recent(items: Sequence[T], *, count: int | None, recency: float, seed: int) -> list[T]:
    """`count` of the items in their order, drawn without replacement in proportion to (position + 1) ** recency.

    Items are ordered from the oldest to the newest. All of them if there are no more than `count`, or for None. WebGym
    draws with recency 2: of four iterations of equal size the newest gives 58 % of the first draw, the oldest 2 %.
    """
    if count is None or len(items) <= count:
        return list(items)
    weights = (np.arange(len(items), dtype=np.float64) + 1) ** recency
    chosen = np.random.default_rng(seed).choice(len(items), size=count, replace=False, p=weights / weights.sum())
    return [items[row] for row in sorted(chosen)]
