"""Shaped terms of a trajectory: penalties for its form. All of them, and only here; they are logged apart from rewards.

They are subtracted from the advantage, never from the judge's reward, so that the reward stays a measure of success.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from agent.types import Trajectory
from training.config import UpdateConfig
from training.sampling.advantages import format_errors, repeats

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


def shaping_of(trajectory: Trajectory, config: UpdateConfig) -> Shaping:
    """The penalties of a trajectory."""
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
