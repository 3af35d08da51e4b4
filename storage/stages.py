"""The stages of a run's iterations, and the report of a finished one: `iterations/0003/rollout/done.json`."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict


class Stage(StrEnum):
    """The stages of one iteration, in their order."""

    ROLLOUT = "rollout"
    JUDGE = "judge"
    POLICY_UPDATE = "policy_update"
    EVALUATE = "evaluate"


class StageReport(BaseModel):
    """Content of done.json: the report of a finished stage."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    stage: Stage
    iteration: int
    counts: dict[str, int] = {}
    metrics: dict[str, float] = {}
    """Values by stable name without the stage's prefix. Example: `{"success_rate": 0.53}`."""
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
