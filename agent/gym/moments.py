"""An episode as an agent from outside sees it at one moment, as values and as text."""

from typing import NamedTuple

from agent.types import Step, StopReason, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import Observation


class Moment(NamedTuple):
    """The page after an action, and at the end the reward."""

    task: Task
    goal: str
    observation: Observation
    """The page; its picture is a reference."""
    picture: bytes
    """The picture, encoded."""
    last: Step | None
    """The step before; None at the start."""
    trajectory: Trajectory | None = None
    """The whole episode, once it is over."""
    verdict: Verdict | None = None
    """The verdict about it, with a reward."""

    @property
    def is_over(self) -> bool:
        """True if the episode has ended."""
        return self.trajectory is not None

    @property
    def is_truncated(self) -> bool:
        """True if it ended because its step budget is used up."""
        return self.trajectory is not None and self.trajectory.stop is StopReason.MAX_STEPS

    @property
    def reward(self) -> float:
        """0 before the end, then the verdict's."""
        return 0.0 if self.verdict is None or self.verdict.reward is None else self.verdict.reward

    @property
    def feedback(self) -> str:
        """The effect of the last action, as text for the agent: the reason of its failure, or the changes on the page."""
        return "" if self.last is None else self.last.feedback or self.last.effect


def elements_of(observation: Observation) -> str:
    """The page's elements as lines of text. Example: `[3] button "ok"`."""
    return "\n".join(
        f'[{mark.id}] {mark.role} "{mark.name}"' + ("" if mark.value is None else f" value={mark.value!r}")
        for mark in observation.marks
    )
