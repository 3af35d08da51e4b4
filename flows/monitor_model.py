"""What the task monitor knows at one moment: every episode of one stage with its state, and the numbers about them."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from agent.types import Side
from flows.monitor_pace import Pace
from flows.progress import Progress
from flows.run_folder import StageKey


class State(StrEnum):
    """What an episode is doing, or what became of it."""

    WAITING = "waiting"
    """Nobody plays it yet, or not again yet."""
    SERVE = "serve"
    ALLOCATE = "allocate"
    NAVIGATE = "navigate"
    MODEL = "model"
    ACT = "act"
    RECORD = "record"
    """Over, and what was recorded of it is being fetched."""
    JUDGE = "judge"
    PARKED = "parked"
    DONE = "done"
    """Over, and nobody has said yet whether it is a success."""
    SUCCESS = "success"
    FAILURE = "failure"
    """Over, with a reward below 1."""
    BROKEN_INFRA = "broken by infra"
    BROKEN_SITE = "broken by site"
    BROKEN_POLICY = "broken by policy"
    BROKEN_JUDGE = "broken by judge"
    LEFT_OUT = "left out"
    """The stage is over and it was not played to its end: carried over, or given up."""


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
    """Steps that are over; None when not known (yet)."""
    since: float | None = None
    """When the state began, in seconds of the epoch; only while it is played."""


class EpisodeGroup(NamedTuple):
    """The episodes of one task, which are compared with one another."""

    name: str
    """The task's id, or the group's when it was not planned for this stage (carried over from an earlier one)."""
    episodes: list[Episode]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One stage of one run, now."""

    run: str
    iterations: int
    key: StageKey
    """What is shown."""
    current: StageKey | None
    """What the run does, or would do next; None when all is finished. Judging and updates have no episodes to show."""
    progress: Progress
    """Of `current`."""
    groups: list[EpisodeGroup]
    judged: int
    """Episodes with a verdict (or with the engine's own, before the stage is judged)."""
    successes: int
    attempts: Counter[tuple[str, str]]
    """Broken attempts by side and code, those that were tried again included."""
    slots: int
    """Episodes that may be played at the same time; 0 when nobody plays."""
    queued: int
    pace: Pace
    seconds: float | None
    """Since the stage began, or of its work when it is finished; None before it began."""
    silent_s: float | None
    """Seconds since the stage wrote anything; None before it did, and when it is finished."""
    is_finished: bool
    counts: Counter[State]
    """Episodes by state."""
    steps: int
    """Steps of all episodes, as far as they are known."""

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
        """Of what is judged so far."""
        return self.successes / self.judged if self.judged else None
