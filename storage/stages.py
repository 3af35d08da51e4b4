"""The stages of a run's iterations, and the report of a finished one: `iterations/0003/rollout/done.json`."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, model_validator


class Stage(StrEnum):
    """The stages of one iteration, in their order."""

    ROLLOUT = "rollout"
    JUDGE = "judge"
    POLICY_UPDATE = "policy_update"
    EVALUATE = "evaluate"


class Histogram(BaseModel):
    """Numbers of values by bin: `counts[i]` of them lie in [edges[i], edges[i + 1])."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    edges: tuple[float, ...]
    """Ascending, one more than there are bins. The last bin has all larger values too."""
    counts: tuple[int, ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.edges) != len(self.counts) + 1:
            raise ValueError(f"{len(self.counts)} bins need {len(self.counts) + 1} edges, found {len(self.edges)}")
        return self


class StageReport(BaseModel):
    """Content of done.json: the report of a finished stage."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    stage: Stage
    iteration: int
    counts: dict[str, int] = {}
    metrics: dict[str, float] = {}
    """Values by stable name without the stage's prefix. Example: `{"success_rate": 0.53}`."""
    histograms: dict[str, Histogram] = {}
    """Of a policy update: reward, advantage, gap (nats) and lag (versions); see `training.learning.report`."""
    alarms: tuple[str, ...] = ()
    """Sentences about a policy update that needs a look."""
    seconds: float
    """Duration of this stage's own work, over all known attempts."""
    finished_at: str = ""
    """UTC, ISO 8601; set when the report is written."""

    @property
    def ended_at(self) -> float:
        """`finished_at` in seconds of the epoch. Raises ValueError for a report that was not written."""
        return datetime.fromisoformat(self.finished_at).timestamp()


class StageKey(NamedTuple):
    """One stage of one iteration. Example: `StageKey(3, Stage.JUDGE)`."""

    iteration: int
    stage: Stage

    def __str__(self) -> str:
        return f"iteration {self.iteration}, {self.stage}"
