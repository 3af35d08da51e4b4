"""Which groups of a stage are complete, and whether that is enough for the stage to end."""

import math
from collections.abc import Collection, Iterable

from agent.types import Failure
from flows.plan import Group
from flows.rollout_config import RolloutConfig


class Board:
    """The groups of one shard in one stage."""

    def __init__(
        self, config: RolloutConfig, groups: Iterable[Group], *, done: Collection[str], threshold: float = 1.0
    ) -> None:
        """`done`: ids of the trajectories that are stored. `threshold`: share of the groups that is enough."""
        self.groups: dict[str, Group] = {}
        self._missing: dict[str, set[str]] = {}
        self._rewards: dict[str, list[float | None]] = {}
        self._threshold = threshold
        self._replaceable = -(-config.replace_zero_signal // config.shards)
        self.add(groups)
        for name, missing in self._missing.items():
            # What an earlier process played is not judged again: such a group is never replaced.
            self._rewards[name] = [None] * len(missing & set(done))
            missing.difference_update(done)

    def add(self, groups: Iterable[Group]) -> None:
        """The plan has become longer."""
        for group in groups:
            self.groups[group.group] = group
            self._missing[group.group] = set(group.names())

    def complete(self, group: str, trajectory_id: str, reward: float | None) -> bool:
        """A trajectory is stored. Returns whether its group is complete, taught nothing, and may be replaced."""
        if group not in self.groups:  # it was carried over, and the stage that it belongs to has not begun
            return False
        self._missing[group].discard(trajectory_id)
        rewards = self._rewards.setdefault(group, [])
        rewards.append(reward)
        taught_nothing = not self._missing[group] and None not in rewards and len(set(rewards)) == 1
        return taught_nothing and self.count("replacement") < self._replaceable

    def count(self, extra: str) -> int:
        """Groups that were added for this reason."""
        return sum(group.extra == extra and group.iteration is None for group in self.groups.values())

    @property
    def unfinished(self) -> list[Group]:
        """Groups of which a trajectory is missing."""
        return [group for name, group in self.groups.items() if self._missing[name]]

    @property
    def is_enough(self) -> bool:
        """Whether the stage may end. What was begun ahead does not have to be complete, but counts."""
        own = len(self.groups) - self.count("ahead") - self.count("replacement")
        needed = math.ceil(self._threshold * own - 1e-9) + self.count("replacement")
        return len(self.groups) - len(self.unfinished) >= needed


def tries_of(failure: Failure, config: RolloutConfig) -> int:
    """How often an episode may be played in all that broke like this."""
    if not failure.retryable or failure.side not in ("infra", "site"):
        return 1
    return config.max_attempts if failure.side == "infra" else config.site_attempts
