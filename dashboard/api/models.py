"""Bodies of requests and answers about tasks and rollouts. The fields of the first dashboard have its names."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from dashboard.database.pages import TaskCounts
from dashboard.database.states import Status
from dashboard.database.tables import JudgmentRow, RolloutRow, TaskRow
from dashboard.views import View
from judging.meta.agreement import wilson


class TaskView(View):
    """One task with the counts of its rollouts."""

    id: str
    task: str
    """The instruction; empty for a task whose page states it."""
    answer: str | None
    environment: str
    domain: str
    start_url: str
    max_steps: int
    difficulty: int
    source: str
    """`upload`, or `run` when it was met in a run folder."""
    created_at: str
    job_count: int
    rollout_count: int
    completed_count: int
    success_count: int
    success_rate: float | None
    """Successes among the completed rollouts with a verdict."""
    success_low: float | None
    success_high: float | None
    """Wilson's 95 % interval of the success rate."""

    @classmethod
    def of(cls, row: TaskRow, counts: TaskCounts) -> Self:
        """From a row."""
        rate = wilson(counts.successes, counts.judged)
        return cls(
            id=row.id,
            task=row.goal,
            answer=row.answer,
            environment=row.environment,
            domain=row.domain,
            start_url=str(row.content.get("start_url", "")),
            max_steps=int(row.content.get("max_steps", 0)),
            difficulty=int(row.content.get("difficulty", 1)),
            source=row.source,
            created_at=iso(row.created_at) or "",
            job_count=counts.jobs,
            rollout_count=counts.rollouts,
            completed_count=counts.completed,
            success_count=counts.successes,
            success_rate=rate.value if rate else None,
            success_low=rate.low if rate else None,
            success_high=rate.high if rate else None,
        )


class RejectedRow(View):
    """A row of an upload that is no task."""

    index: int
    """Its place among the rows, from 0."""
    line: int
    """Line of the file where it begins, from 1."""
    reason: str


class UploadReport(View):
    """Result of an upload. `message` and `count` are those of the first dashboard."""

    message: str
    count: int
    inserted: int
    updated: int
    rejected: list[RejectedRow]


class RolloutView(View):
    """One rollout, played by hand or in a run."""

    id: str
    task_id: str
    job_id: str
    source: str
    status: Status
    reason: str
    phase: str
    success: bool | None
    """The verdict that counts: a person's, otherwise the judge's."""
    human: bool | None
    reward: float | None
    result: str | None
    """The agent's answer."""
    parsed_json: Any
    """The answer as JSON, when it is."""
    error: str | None
    failure_side: str
    failure_code: str
    environment: str
    domain: str
    goal: str
    model: str
    run: str
    iteration: int
    stage: str
    trajectory_id: str
    group: str
    member: int
    steps: int
    stop: str
    seconds: float
    picture: str | None
    policy_version: int | None
    priority: int
    tries: int
    retry_of: str
    cancelling: bool
    """True while a running rollout is being cancelled."""
    paused: bool
    """True while a person holds it before its next turn."""
    live: bool
    """True while its browser can be watched."""
    created_at: str
    started_at: str | None
    completed_at: str | None

    @classmethod
    def of(cls, row: RolloutRow) -> Self:
        """From a row."""
        same = {name: getattr(row, name) for name in cls.model_fields if name in SAME}
        return cls.model_validate(
            {
                **same,
                "success": row.success if row.human is None else row.human,
                "result": row.answer,
                "parsed_json": _json(row.answer),
                "error": row.error or None,
                "group": row.group_id or row.job_id,
                "cancelling": bool(row.cancel_by) and row.completed_at is None,
                "paused": bool(row.paused_by),
                "live": bool(row.live_url),
                "created_at": iso(row.created_at),
                "started_at": iso(row.started_at),
                "completed_at": iso(row.completed_at),
            }
        )


SAME = frozenset(RolloutRow.__table__.columns.keys()) - {"success", "error", "created_at", "started_at", "completed_at"}
"""Columns that are shown under their own name."""


class Spawn(BaseModel):
    """A request for rollouts: of one task as the first dashboard has it, or of several."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    task_id: Annotated[str | None, Field(max_length=128)] = None
    task_ids: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=1_000)] = []
    model: Annotated[str | None, Field(max_length=200)] = None
    """A name of `GET /api/models`, or the vendor's name of one of them; None: the default."""
    environment: Annotated[str | None, Field(max_length=100)] = None
    """None: the task's own."""
    attempts: Annotated[int, Field(ge=1, le=100)] = 1
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    """Higher ones are played first."""
    max_steps: Annotated[int | None, Field(ge=1, le=1_000)] = None
    """None: the task's own."""
    reuse: bool = False
    """Answer with earlier rollouts that are equal (task, model, environment, steps) and completed or running, and play
    only what is missing."""


class HumanVerdict(BaseModel):
    """A person's verdict. `success` None takes an earlier one back."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    success: bool | None
    note: Annotated[str, Field(max_length=2_000)] = ""


class JudgmentView(View):
    """One verdict on a rollout."""

    at: str
    by: str
    human: bool
    success: bool | None
    note: str
    verdict: dict[str, Any] | None

    @classmethod
    def of(cls, row: JudgmentRow) -> Self:
        """From a row."""
        names = ("by", "human", "success", "note", "verdict")
        return cls.model_validate({"at": iso(row.at), **{name: getattr(row, name) for name in names}})


class LogLine(View):
    """A line of a rollout's log."""

    number: int
    at: str
    status: str
    text: str


def iso(at: float | None) -> str | None:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _json(text: str | None) -> Any:
    if not text or text[0] not in '{["-0123456789tfn' or len(text) > 100_000:
        return None
    try:
        return json.loads(text, parse_constant=lambda name: None)
    except (ValueError, RecursionError):
        return None
