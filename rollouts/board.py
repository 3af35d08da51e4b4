"""The complete and the unfinished groups of a stage, and the rule for when the stage may end."""

import math
from collections.abc import Collection, Iterable, Mapping

from agent.types import Failure
from rollouts.config import RolloutConfig
from rollouts.plan import Group


class Board:
    """The groups of one shard in one stage."""

    def __init__(
        self,
        config: RolloutConfig,
        groups: Iterable[Group],
        *,
        done: Collection[str],
        threshold: float = 1.0,
        rewards: Mapping[str, float | None] | None = None,
    ) -> None:
        """`done`: ids of the stored trajectories. `rewards`: rewards by id of the trajectories that this process has stored.
        `threshold`: share of the groups that must be complete.
        """
        self.groups: dict[str, Group] = {}
        self._missing: dict[str, set[str]] = {}
        self._rewards: dict[str, list[float | None]] = {}
        self._threshold = threshold
        self._replaceable = -(-config.replace_zero_signal // config.shards)
        self.add(groups)
        for name, missing in self._missing.items():
            # The rewards of an earlier process are not known: None keeps its groups from being replaced.
            self._rewards[name] = [(rewards or {}).get(one) for one in missing & set(done)]
            missing.difference_update(done)

    def add(self, groups: Iterable[Group]) -> None:
        """Adds groups by which the plan was extended."""
        for group in groups:
            self.groups[group.group] = group
            self._missing[group.group] = set(group.names())

    def complete(self, group: str, trajectory_id: str, reward: float | None) -> bool:
        """Records a stored trajectory. True if its group is complete, has equal rewards, and may be replaced."""
        if group not in self.groups:  # a carried-over group, before its own stage begins
            return False
        self._missing[group].discard(trajectory_id)
        rewards = self._rewards.setdefault(group, [])
        rewards.append(reward)
        # Equal rewards give every member the advantage 0, so the group adds nothing to the update.
        taught_nothing = not self._missing[group] and None not in rewards and len(set(rewards)) == 1
        return taught_nothing and self.count("replacement") < self._replaceable

    def count(self, extra: str) -> int:
        """Number of groups added for the reason `extra`; groups carried over from an earlier stage do not count."""
        return sum(group.extra == extra and group.iteration is None for group in self.groups.values())

    @property
    def unfinished(self) -> list[Group]:
        """Groups with a missing trajectory."""
        return [group for name, group in self.groups.items() if self._missing[name]]

    @property
    def is_enough(self) -> bool:
        """True if the stage may end. Groups begun ahead need not be complete, but count when they are."""
        # Each replacement raises the number: the zero-signal group counts already, and the new one is waited for.
        # Without 1e-9 a float product such as 0.55 * 100 would be rounded up to one group too many.
        own = len(self.groups) - self.count("ahead") - self.count("replacement")
        needed = math.ceil(self._threshold * own - 1e-9) + self.count("replacement")
        return len(self.groups) - len(self.unfinished) >= needed


def tries_of(failure: Failure, config: RolloutConfig) -> int:
    """Attempts that an episode with this failure may have in all."""
    # A failure of the agent is the episode's result; a permanent failure would only repeat itself.
    if not failure.retryable or failure.side not in ("infra", "site"):
        return 1
    return config.max_attempts if failure.side == "infra" else config.site_attempts
