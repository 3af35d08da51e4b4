"""Data of the task monitor: a snapshot of one stage, with the state of every episode and the counts."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from agent.types import Side
from flows.monitor.pace import Pace
from storage.progress import Progress
from storage.stages import StageKey


class State(StrEnum):
    """The phase of an episode being played, or its result."""

    WAITING = "waiting"
    """Not being played: not begun, or between two attempts."""
    SERVE = "serve"
    ALLOCATE = "allocate"
    NAVIGATE = "navigate"
    MODEL = "model"
    ACT = "act"
    RECORD = "record"
    """Over, and its recordings are being fetched."""
    JUDGE = "judge"
    PARKED = "parked"
    DONE = "done"
    """Over, and not judged yet."""
    SUCCESS = "success"
    FAILURE = "failure"
    """Over, with a reward below 1."""
    BROKEN_INFRA = "broken by infra"
    BROKEN_SITE = "broken by site"
    BROKEN_POLICY = "broken by policy"
    BROKEN_JUDGE = "broken by judge"
    LEFT_OUT = "left out"
    """The stage is over and the episode was not played to its end: carried over, or given up."""


PLAYING = (State.SERVE, State.ALLOCATE, State.NAVIGATE, State.MODEL, State.ACT, State.RECORD, State.JUDGE, State.PARKED)
"""States of an episode that has a slot, in the order of an episode's life."""
BROKEN: dict[Side, State] = {
    "infra": State.BROKEN_INFRA,
    "site": State.BROKEN_SITE,
    "policy": State.BROKEN_POLICY,
    "judge": State.BROKEN_JUDGE,
}
OVER = (State.DONE, State.SUCCESS, State.FAILURE, *BROKEN.values())
"""States of an episode whose trajectory is stored."""


class Episode(NamedTuple):
    """One cell. Example: `Episode("i0003-click-link.7-m02", State.MODEL, steps=3, since=1759999998.5)`."""

    id: str
    state: State
    steps: int | None = None
    """Completed steps; None when not known (yet)."""
    since: float | None = None
    """Start of the state, in seconds of the epoch; only while the episode is played."""


class EpisodeGroup(NamedTuple):
    """The episodes of one task, which are compared with one another."""

    name: str
    """The task's id, or the group's id when it was not planned for this stage (carried over from an earlier one)."""
    episodes: list[Episode]
    canary: bool = False
    """True for a task that nobody can do, which says nothing about the policy."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One stage of one run at one moment."""

    run: str
    iterations: int
    key: StageKey
    """The stage that is shown."""
    current: StageKey | None
    """The current or next stage of the run; None when all is finished. Judging and updates have no episodes to show."""
    progress: Progress
    """Progress of `current`."""
    groups: list[EpisodeGroup]
    judged: int
    """Episodes with a verdict (or with the engine's own reward, before the stage is judged)."""
    successes: int
    attempts: Counter[tuple[str, str]]
    """Broken attempts by side and code, including attempts that were retried."""
    slots: int
    """Episodes that may be played at the same time; 0 when no process plays."""
    queued: int
    pace: Pace
    seconds: float | None
    """Seconds since the stage began, or its duration when it is finished; None before it began."""
    silent_s: float | None
    """Seconds since the stage's last write; None before the first one, and when it is finished."""
    is_finished: bool
    counts: Counter[State]
    """Episodes by state."""
    steps: int
    """Steps of all episodes whose steps are known."""
    paused: dict[str, float] = field(default_factory=dict)
    """Seconds until the next episode may begin, by host: hosts that block visits or can't be reached."""
    pauses: int = 0
    """Pauses of hosts so far."""

    @property
    def total(self) -> int:
        """All episodes."""
        return self.counts.total()

    @property
    def playing(self) -> int:
        """Episodes that have a slot."""
        return sum(self.counts[state] for state in PLAYING)

    @property
    def over(self) -> int:
        """Episodes whose trajectory is stored."""
        return sum(self.counts[state] for state in OVER)

    @property
    def success_rate(self) -> float | None:
        """Share of successes among the episodes judged so far."""
        return self.successes / self.judged if self.judged else None
