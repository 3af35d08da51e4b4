"""Curricula: how much a task with this history is worth playing again. Pure functions; samplers.py chooses by them."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from environments.history import Progress, SuccessRate

Share = Annotated[float, Field(ge=0, le=1)]
HalfLife = Annotated[float, Field(gt=0, le=1e6)]


class Curriculum(BaseModel):
    """Settings of both curricula."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    new: Share = 0.25
    """Share of an iteration's tasks that were not judged `min_judged` times yet, as long as there are any."""
    min_judged: Annotated[float, Field(gt=0)] = 4
    """Judged episodes, weighted by age, before a task is measured."""
    floor: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Least weight of a measured task: none is given up for good. It is on the scale of the weights, on which 1 is the most
    that a task can have, and not relative to the most wanted task."""


class Target(Curriculum):
    """By a band of success: a group of G attempts has a signal with probability 1 - p^G - (1 - p)^G, most at p = 0.5
    (the reason of DAPO's dynamic sampling, arXiv 2503.14476). Example: `{kind: target, low: 0.25, high: 0.75}`.
    """

    kind: Literal["target"]
    low: Share = 0.25
    high: Share = 0.75
    """Tasks with a success from `low` to `high` have the weight 1; outside it falls linearly to `floor` at 0 and 1."""
    half_life: HalfLife | None = 10.0
    """Iterations after which an episode counts half; null: all count equally."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low must not be above high, found {self.low:g} and {self.high:g}.")
        return self


class ByProgress(Curriculum):
    """By learning progress: tasks whose success changes, in either direction (absolute learning progress, ALP-GMM,
    arXiv 1910.07224), mixed with those that were not played for long, since their measurement is old (Prioritized Level
    Replay, arXiv 2010.03934). Example: `{kind: progress}`.
    """

    kind: Literal["progress"]
    recent: HalfLife = 2.0
    """Half-life in iterations of the recent success rate."""
    earlier: HalfLife = 8.0
    """Half-life of the rate that it is compared with."""
    staleness: Share = 0.1
    """Part of the weight that goes by the iterations since a task was played, instead of by its progress."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.recent >= self.earlier:
            raise ValueError(f"recent must be below earlier, found {self.recent:g} and {self.earlier:g}.")
        return self


def target_weight(rate: SuccessRate | None, config: Target) -> float | None:
    """Weight of a task with this measured success, from `floor` to 1; None: not measured yet.

    Example with low 0.25 and floor 0.05: 4 of 8 has 1, 1 of 8 has 0.5, 0 of 8 has 0.05.
    """
    if rate is None or rate.value is None or rate.judged < config.min_judged:
        return None
    low_side = rate.value / config.low if rate.value < config.low else 1.0
    high_side = (1 - rate.value) / (1 - config.high) if rate.value > config.high else 1.0
    return max(config.floor, min(low_side, high_side))


def progress_weight(progress: Progress | None, config: ByProgress) -> float | None:
    """Weight of a task with this history, from `floor` upwards; None: not measured yet.

    Example with staleness 0.1: recent success 0.7, earlier 0.4, played 5 iterations ago gives 0.9 * 0.3 + 0.1 * 5 / 10.
    """
    if progress is None or progress.judged < config.min_judged:
        return None
    old = min(1.0, progress.since / 10)
    weight = (1 - config.staleness) * abs(progress.recent - progress.earlier) + config.staleness * old
    return max(config.floor, weight)
