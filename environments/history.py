"""What became of tasks before: attempts and successes per task, blocked and broken episodes per host.

The judge stage writes one `Outcome` per task of its iteration; samplers and the circuit breaker read them all.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict


class Outcome(BaseModel):
    """How the episodes of one task went in one iteration.

    Example: `Outcome(task="17", host="www.imdb.com", iteration=3, attempts=8, judged=7, successes=2, blocked=1)`
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: str
    family: str = ""
    """The task's domain: what generated tasks, each of which comes once, are remembered by."""
    host: str = ""
    iteration: int
    attempts: int
    """Episodes that were played to an end, however it was."""
    judged: int
    """Episodes with a verdict, the blocked ones left out: the denominator of success."""
    successes: int
    blocked: int = 0
    """Episodes in which the site turned the agent away, as the judge saw it."""
    site_failures: int = 0
    """Episodes that the site broke: the start page did not answer, for instance."""
    well: int = 0
    """Episodes that neither the site nor our own machines broke or cut short: what shows that a site can be used."""
    at: str = ""
    """When the judge stage wrote it: UTC, ISO 8601."""


class SuccessRate(BaseModel):
    """A measured success rate and what it rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    successes: float = 0.0
    judged: float = 0.0
    """Weighted by age, like `successes`."""

    @property
    def value(self) -> float | None:
        """The rate, None without a judged episode."""
        return self.successes / self.judged if self.judged else None


class TaskHistory:
    """All outcomes that are known when an iteration is planned."""

    def __init__(self, outcomes: Iterable[Outcome] = (), submitted: Iterable[str] = ()) -> None:
        """`submitted` has the id of each task once for every time that it was planned, played or not."""
        self.outcomes: Sequence[Outcome] = tuple(outcomes)
        self.submissions: dict[str, int] = defaultdict(int)
        for task in submitted:
            self.submissions[task] += 1

    def success_rates(self, *, iteration: int, half_life: float | None, by_family: bool) -> dict[str, SuccessRate]:
        """Success by task id, or by family, as seen from `iteration`.

        An outcome that is `half_life` iterations old counts half, for the policy has changed since; None: all count the same.
        """
        sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for outcome in self.outcomes:
            weight = 0.5 ** ((iteration - outcome.iteration) / half_life) if half_life else 1.0
            entry = sums[outcome.family if by_family else outcome.task]
            entry[0] += weight * outcome.successes
            entry[1] += weight * outcome.judged
        return {key: SuccessRate(successes=wins, judged=judged) for key, (wins, judged) in sums.items()}
