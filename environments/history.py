"""History of tasks: attempts and successes per task, blocked and broken episodes per host.

The judge stage writes one `Outcome` per task of its iteration; samplers and the circuit breaker read them all.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict


class Outcome(BaseModel):
    """Result of the episodes of one task in one iteration.

    Example: `Outcome(task="17", host="www.imdb.com", iteration=3, attempts=8, judged=7, successes=2, blocked=1)`
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: str
    family: str = ""
    """The task's domain: key of the history of generated tasks, each of which is played once."""
    host: str = ""
    iteration: int
    attempts: int
    """Finished episodes, whatever their end."""
    judged: int
    """Episodes with a verdict, without the blocked ones: the denominator of success."""
    successes: int
    blocked: int = 0
    """Episodes that the site blocked, in the judge's view."""
    site_failures: int = 0
    """Episodes that the site broke: for example, its start page did not answer."""
    well: int = 0
    """Episodes that neither the site nor the infrastructure broke or cut short: they show that the site works."""
    at: str = ""
    """Time at which the judge stage wrote it: UTC, ISO 8601."""


class SuccessRate(BaseModel):
    """A measured success rate with its counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    successes: float = 0.0
    judged: float = 0.0
    """Number of judged episodes, weighted by age like `successes`."""

    @property
    def value(self) -> float | None:
        """The rate, None without a judged episode."""
        return self.successes / self.judged if self.judged else None


class Progress(NamedTuple):
    """How the success of a task has changed. Example: `Progress(recent=0.7, earlier=0.4, judged=14.2, since=3)`."""

    recent: float
    """Success rate with a short half-life."""
    earlier: float
    """Success rate with a long half-life."""
    judged: float
    """Judged episodes, weighted by age with the long half-life."""
    since: int
    """Iterations since it was last judged."""


class TaskHistory:
    """All outcomes that are known when an iteration is planned."""

    def __init__(self, outcomes: Iterable[Outcome] = (), submitted: Iterable[str] = ()) -> None:
        """`submitted` has the id of each task once for every time that it was planned, played or not."""
        self.outcomes: Sequence[Outcome] = tuple(outcomes)
        self.submissions: dict[str, int] = defaultdict(int)
        for task in submitted:
            self.submissions[task] += 1

    def success_rates(self, *, iteration: int, half_life: float | None, by_family: bool) -> dict[str, SuccessRate]:
        """Success rates by task id, or by family, relative to `iteration`.

        An outcome that is `half_life` iterations old counts half, because the policy has changed since; None: all count
        equally.
        """
        sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for outcome in self.outcomes:
            weight = 0.5 ** ((iteration - outcome.iteration) / half_life) if half_life else 1.0
            entry = sums[outcome.family if by_family else outcome.task]
            entry[0] += weight * outcome.successes
            entry[1] += weight * outcome.judged
        return {key: SuccessRate(successes=wins, judged=judged) for key, (wins, judged) in sums.items()}

    def progress(self, *, iteration: int, recent: float, earlier: float, by_family: bool) -> dict[str, Progress]:
        """The change of success by task id, or by family; `recent` and `earlier` are half-lives in iterations."""
        now = self.success_rates(iteration=iteration, half_life=recent, by_family=by_family)
        before = self.success_rates(iteration=iteration, half_life=earlier, by_family=by_family)
        last: dict[str, int] = {}
        for outcome in self.outcomes:
            if outcome.judged:
                key = outcome.family if by_family else outcome.task
                last[key] = max(last.get(key, 0), outcome.iteration)
        return {
            key: Progress(
                recent=now[key].value or 0.0,
                earlier=before[key].value or 0.0,
                judged=before[key].judged,
                since=iteration - last[key],
            )
            for key in last
        }
