"""The state of one shard's scheduling: events in, decisions out. It has no event loop, no clock and no files.

begin_stage ─> decide ─> Begin(episode) | Extend(count, why) | None      asked again after each event
               attempted(episode, failure) ─> KEEP | AGAIN | LOST         an attempt ended
               stored(..) ─> Extend | None                                its trajectory was kept
               ended(id)                                                  its slot is free
end_stage      running episodes stay: the next stage does not begin them a second time
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from agent.episodes.episode import EpisodeKey
from agent.failures import CONFIGURATION
from agent.types import Failure
from environments.config import BlockingConfig
from environments.pauses import HostPauses
from rollouts.board import Board
from rollouts.config import RolloutConfig
from rollouts.episode_queue import EpisodeQueue
from rollouts.pace import Pace, is_too_old
from rollouts.plan import Group, Why
from rollouts.tries import Tries

BROWSERS_LOST = frozenset({"UNREACHABLE", "DRAINING"})
SERVICE_LOST = BROWSERS_LOST | {"MODEL_GONE", "MODEL_UNREACHABLE", "POLICY_CHANGED"}
"""Failure codes that mean a lost service of this loop, not a failed episode; a vendor's model is no such service."""
REFUSALS = 4
"""Episodes in a row broken by the configuration after which no further one begins; one refused key is enough."""


@dataclass(frozen=True)
class Begin:
    """Begin this episode. It has a slot from now on."""

    episode: EpisodeKey


@dataclass(frozen=True)
class Extend:
    """Draw groups and add them to the plan; then report `extended`."""

    count: int
    why: Why


class Next(StrEnum):
    """The continuation of an episode after one of its attempts."""

    KEEP = "keep"
    """Store the trajectory."""
    AGAIN = "again"
    """Delete its steps, and try again after `pause_s`."""
    LOST = "lost"
    """A service is lost: no attempt is used up, and the next round plays the episode again."""


class Schedule:
    """The groups, the queue and the running episodes of one shard, over all stages that it plays."""

    def __init__(
        self,
        config: RolloutConfig,
        shard: int,
        *,
        is_own_model: bool,
        patience_s: float,
        pauses: HostPauses | None = None,
    ) -> None:
        """`is_own_model`: the model is served by this loop. `patience_s`: see `Tries`. `pauses`: of this process; None:
        no host is ever paused.
        """
        self.slots = config.slots_of(shard)
        """Episodes that the shard may play at the same time."""
        self.lost: str | None = None
        """The lost service, None if none is lost in this stage."""
        self.running: set[str] = set()
        """Ids of the episodes that have a slot."""
        self.board = Board(config, [], done=set())
        self._config, self._patience_s = config, patience_s
        self._lost_codes = SERVICE_LOST if is_own_model else BROWSERS_LOST
        self._iteration = 0
        self._queue = EpisodeQueue(pauses or HostPauses(BlockingConfig()))
        self._tries: dict[str, Tries] = {}
        self._refusals = 0
        self._extends: set[Why] = set()
        self._pace = Pace()
        self._begun: dict[str, int] = {}
        """Number of finished updates when a group began, by group."""
        self._rewards: dict[str, float | None] = {}
        """Of the stored trajectories of this stage's groups, by id: a group may begin before its stage."""
        self._is_paused = False

    def begin_stage(
        self,
        iteration: int,
        groups: list[Group],
        *,
        done: Collection[str],
        threshold: float,
        extends: Collection[Why] = (),
        pace: Pace | None = None,
    ) -> None:
        """Queues the episodes of `groups` that are neither stored (`done`) nor running. `extends`: allowed extensions."""
        self._iteration, self.lost, self._refusals, self._extends = iteration, None, 0, set(extends)
        self._pace = pace or Pace(ahead=self._config.ahead)
        names = {group.group for group in groups}
        # What this process saw goes before the store: a running episode is not in it.
        self._begun = {**self._pace.begun, **{name: at for name, at in self._begun.items() if name in names}}
        members = {name for group in groups for name in group.names()}
        self._rewards = {name: reward for name, reward in self._rewards.items() if name in members}
        self.board = Board(self._config, groups, done=done, threshold=threshold, rewards=self._rewards)
        # An episode that still runs from the stage before must not be started a second time.
        begun = self.running.union(done)
        self._queue.extend(slot for slot in self._episodes(groups) if slot.trajectory_id not in begun)

    def end_stage(self) -> None:
        """The next stage queues the episodes of unfinished groups again; running ones go on."""
        self._queue.clear()
        self._extends.clear()

    @property
    def queued(self) -> int:
        """Number of the episodes that wait for a slot."""
        return len(self._queue)

    @property
    def is_over(self) -> bool:
        """True if the stage need not be waited for: a service is lost, enough groups are complete, or nothing is left."""
        return self.lost is not None or self._is_enough or self.is_idle

    @property
    def is_idle(self) -> bool:
        """True if no episode runs and none is queued."""
        return not (self.running or self._queue)

    def decide(self, *, has_room: bool, slots_in_use: int = 0) -> Begin | Extend | None:
        """The next thing to do; None: wait for an event.

        `has_room`: another episode is within the limits. `slots_in_use`: slots of the shard that others' episodes hold.
        """
        # A shard keeps at least one slot, so that it never only waits for the other holder of its slots.
        if (
            self.lost is not None
            or self._is_paused
            or not has_room
            or len(self.running) >= max(1, self.slots - slots_in_use)
        ):
            return None
        episode = self._queue.take()
        if episode is None:
            return self._ahead()
        self.running.add(episode.trajectory_id)
        self._begun.setdefault(episode.group, self._pace.updates)
        self._tries[episode.trajectory_id] = Tries(self._config, patience_s=self._patience_s)
        return Begin(episode)

    def given_up(self) -> list[EpisodeKey]:
        """Removes the queued episodes of hosts that are given up, and returns them."""
        return self._queue.take_given_up()

    def extended(self, groups: list[Group]) -> int:
        """Adds drawn groups; returns the number of their episodes."""
        self.board.add(groups)
        episodes = self._episodes(groups)
        self._queue.extend(episodes)
        return len(episodes)

    def cannot_extend(self) -> None:
        """The environment has no further tasks. A later request would fail the same way."""
        self._extends.clear()

    def attempted(self, trajectory_id: str, failure: Failure | None, *, now: float) -> Next:
        """An attempt ended at `now`, in seconds on any clock."""
        if failure is None:
            return Next.KEEP
        # A lost service is no fault of the episode: no attempt is used up.
        if failure.code in self._lost_codes or self._is_hopeless(failure):
            self.lost = f"{failure.code}: {failure.message}"
            return Next.LOST
        return Next.AGAIN if self._tries[trajectory_id].another_after(failure, now=now) else Next.KEEP

    def pause_s(self, trajectory_id: str) -> float:
        """Seconds until the next attempt."""
        return self._tries[trajectory_id].pause_s()

    def stored(self, group: str, trajectory_id: str, *, reward: float | None, is_whole: bool) -> Extend | None:
        """A trajectory was stored. A group that it completes without learning signal may be replaced by another."""
        if is_whole:
            self._refusals = 0
        self._rewards[trajectory_id] = reward
        if self.board.complete(group, trajectory_id, reward) and "replacement" in self._extends:
            return Extend(1, "replacement")
        return None

    def ended(self, trajectory_id: str) -> None:
        """Frees the episode's slot. Repeated calls do nothing."""
        self.running.discard(trajectory_id)
        self._tries.pop(trajectory_id, None)

    def pause(self, *, is_paused: bool) -> None:
        """Begins no episode while it is paused; running ones go on."""
        self._is_paused = is_paused

    def drop_queue(self) -> None:
        """Begins no further episode of this stage."""
        self._queue.clear()

    def unfinished(self) -> list[EpisodeKey]:
        """The episodes of the unfinished groups."""
        return self._episodes(self.board.unfinished)

    def _episodes(self, groups: list[Group]) -> list[EpisodeKey]:
        return [slot for group in groups for slot in group.slots(self._iteration)]

    @property
    def _is_enough(self) -> bool:
        """True if enough groups are complete, and none of the others would be too old in the next iteration."""
        return self.board.is_enough and not self._waits_for_old()

    def _waits_for_old(self) -> bool:
        lag = self._pace.lag
        return lag is not None and any(
            is_too_old(self._begun[group.group], iteration=self._iteration, lag=lag)
            for group in self.board.unfinished
            if group.group in self._begun
        )

    def _ahead(self) -> Extend | None:
        """Groups of the next iteration, when none of this one is queued and a slot is free."""
        if "ahead" not in self._extends or (self._pace.ends and self._is_enough):
            return None
        # Each shard draws its own part of the groups ahead, rounded up.
        left = -(-self._pace.ahead // self._config.shards) - self.board.count("ahead")
        # As few at a time as fill a slot, where it is not known how many will be wanted.
        return Extend(1 if self._pace.lag else left, "ahead") if left > 0 else None

    def _is_hopeless(self, failure: Failure) -> bool:
        """True if the configuration seems to break every episode: `REFUSALS` failures and no valid episode between."""
        if failure.code in CONFIGURATION:
            self._refusals += 1
        return failure.code == "MODEL_KEY" or self._refusals >= REFUSALS
