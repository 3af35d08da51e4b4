"""Pacing: how far the rollouts may run before the updates, so that no sample becomes older than the run allows.

    sync         rollout 1 | judge, update 1 | rollout 2 | judge, update 2 |
    one_step     rollout 1 | rollout 2 ............... | rollout 3 ......... |       samples are at most 1 version old
                           | judge, update 1 |         | judge, update 2 |
    async        as one_step, and groups of the iteration after next are begun too; at most `rollout.max_lag` versions old

Begin: with a lag of L versions, the groups that are begun and not learned from are at most (L + 1) iterations' worth,
less one for each update that is missing (AReaL, arXiv 2505.24298, equation 3, in groups instead of trajectories).
End: a rollout stage waits for the groups that would be too old in the next iteration. Both together keep every sample
within the lag, so that `update.max_staleness` discards nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rollouts.config import RolloutConfig
from rollouts.plan import Group


@dataclass(frozen=True)
class Pace:
    """The bounds of one shard worker in one stage. Example: `Pace(ahead=3, lag=1, updates=4)`."""

    ahead: int = 0
    """Groups beyond those of the iteration that may be begun, over all shards."""
    lag: int | None = None
    """Versions that a sample may be older than the policy that it trains; None: the stage waits for no group."""
    updates: int = 0
    """Updates that are finished: a group that begins now has samples of this version, or of an older one that is
    still served because the updates since then had no signal."""
    ends: bool = True
    """False before the stage itself: nobody waits for its end yet, and groups ahead are begun up to the bound."""
    begun: Mapping[str, int] = field(default_factory=dict)
    """Number of updates before the stored members of unfinished groups, by group, as far as the store knows."""


def pace_of(
    config: RolloutConfig, groups: Iterable[Group], *, iteration: int, last: int, is_early: bool = False
) -> Pace:
    """The pace of an iteration's rollout with these groups. `last`: the run's last iteration. `is_early`: the update of
    the iteration before is not finished.
    """
    if not config.lag:
        return Pace(ahead=config.ahead, updates=iteration - 1)
    planned = sum(not group.task.canary and not is_extra(group) for group in groups)
    missing = 1 if is_early else 0
    # No further iteration will learn from groups beyond the last one's.
    iterations = min(config.lag + 1 - missing, last - iteration + 1)
    ahead = max(0, iterations * config.groups_per_iteration - planned)
    return Pace(ahead=ahead, lag=config.lag, updates=iteration - 1 - missing, ends=not is_early)


def is_extra(group: Group) -> bool:
    """True if a group was added to this iteration's plan, ahead or as a replacement."""
    return bool(group.extra) and group.iteration is None


def is_too_old(updates: int, *, iteration: int, lag: int) -> bool:
    """True if a group that began after so many updates must be learned from in this iteration, at the latest.

    The next iteration trains the policy of `iteration` updates.
    """
    return iteration - updates > lag


def share_to_wait_for(config: RolloutConfig, groups: Sequence[Group]) -> float:
    """Share of a plan's own groups that make a whole iteration; below 1 where more were carried over than it needs."""
    own = sum(not group.task.canary and not is_extra(group) for group in groups)
    return min(1.0, config.groups_per_iteration / own) if own and config.lag else 1.0


def surplus(
    config: RolloutConfig,
    groups: Sequence[Group],
    complete: Iterable[str],
    oldest: Mapping[str, int],
    *,
    iteration: int,
) -> list[Group]:
    """The complete groups that an iteration leaves to the next one, because it has a whole iteration's worth without them.

    `groups` in the order of the plan, which is that of their age; `oldest`: updates before each complete group began; a
    group without versions, as a vendor's model has none, is never too old.
    Example: with 4 groups per iteration and 6 complete ones, the last two, unless they would be too old.
    """
    if not config.lag:
        return []
    names = set(complete)
    ready = [group for group in groups if group.group in names and not group.task.canary]
    room = config.groups_per_iteration + sum(group.extra == "replacement" for group in groups if is_extra(group))
    return [
        group
        for group in ready[room:]
        if not is_too_old(oldest.get(group.group, iteration), iteration=iteration, lag=config.lag)
    ]


def staying(config: RolloutConfig, groups: Sequence[Group]) -> list[Group]:
    """The groups of a plan that `surplus` never leaves to the next iteration once they are complete."""
    if not config.lag:
        return list(groups)
    first = [group for group in groups if not group.task.canary][: config.groups_per_iteration]
    return [*first, *(group for group in groups if group.task.canary)]
