"""Shaping: penalties of a trajectory for outputs that can't be parsed and for repeated actions, and steps without effect."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from agent.types import Observation, Step, Trajectory
from training.algorithms.credit_settings import CreditSettings

MOST = 1.0
"""Largest penalty of a trajectory: that of a failure among successes."""


class Shaping(NamedTuple):
    """The penalties of one trajectory. Example: `Shaping(format=0.05, repetition=0.1, length=0.0).total == 0.15`."""

    format: float
    """For outputs that could not be parsed."""
    repetition: float
    """For actions that were repeated on an unchanged screen."""
    length: float
    """For steps used, as a share of the step budget."""

    @property
    def total(self) -> float:
        """The sum, at most `MOST`."""
        return min(MOST, sum(self))


def shaping_of(trajectory: Trajectory, config: CreditSettings) -> Shaping:
    """The penalties of a trajectory. They are logged apart from the judge's reward, which stays a measure of success."""
    return Shaping(
        format=config.format_penalty * format_errors(trajectory),
        repetition=config.repetition_penalty * repeats(trajectory),
        length=config.length_penalty * len(trajectory.steps) / trajectory.task.max_steps,
    )


def shaping_metrics(terms: Sequence[Shaping]) -> dict[str, float]:
    """Means over the judged trajectories, by stable name; nothing without any."""
    if not terms:
        return {}
    means = {f"shaping_{name}_mean": fmean(getattr(one, name) for one in terms) for name in Shaping._fields}
    return {"shaping_mean": fmean(one.total for one in terms), **means}


def format_errors(trajectory: Trajectory) -> int:
    """Counts the outputs of the model that could not be parsed into an action."""
    return sum(unparsable(step) for step in trajectory.steps)


def repeats(trajectory: Trajectory) -> int:
    """Counts the steps that repeat the previous step's action on an identical screenshot."""
    pairs = zip(trajectory.steps, trajectory.steps[1:], strict=False)
    return sum(
        same_picture(before.observation, now.observation) and now.action is not None and now.action == before.action
        for before, now in pairs
    )


def unchanged(trajectory: Trajectory) -> list[bool]:
    """For each step, True if the next step's screenshot is the same, byte for byte.

    False for the last one, as in WebGym: an answer, or the click that ends the episode, need not change the page.
    """
    pairs = zip(trajectory.steps, trajectory.steps[1:], strict=False)
    same = [same_picture(step.observation, later.observation) for step, later in pairs]
    return [*same, False][: len(trajectory.steps)]


def unparsable(step: Step) -> bool:
    """True if the model's output could not be parsed into an action."""
    return step.is_unparsed


def same_picture(one: Observation, other: Observation) -> bool:
    """True if both have a screenshot and they are identical."""
    if one.screenshot is None or other.screenshot is None:
        return False
    return one.screenshot.sha256 == other.screenshot.sha256
