"""Makes rollouts: checks the request against the configuration, finds equal ones when asked to, fills the queue."""

import time
import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from agent.types import Task
from dashboard.api.models import Spawn
from dashboard.api.problems import Problem, shown
from dashboard.api.tasks import task_of
from dashboard.database.states import log
from dashboard.database.tables import RolloutRow
from dashboard.worker.config import PlayConfig, unavailable

MOST = 10_000
"""Largest number of rollouts of one request."""


def spawn(session: Session, config: PlayConfig, asked: Spawn) -> list[RolloutRow]:
    """Adds the rollouts of a request, and returns them; with `reuse` also equal earlier ones. Raises `Problem`."""
    task_ids = [*([asked.task_id] if asked.task_id is not None else []), *asked.task_ids]
    if not task_ids:
        raise Problem(422, "invalid_request", "task_id: name a task, or several in task_ids")
    if len(task_ids) * asked.attempts > MOST:
        raise Problem(422, "too_many", f"at most {MOST} rollouts at once; ask for fewer tasks or attempts")
    model = _model(config, asked.model)
    job = uuid.uuid4().hex
    rows: list[RolloutRow] = []
    for task_id in dict.fromkeys(task_ids):
        task = _bounded(task_of(session, task_id), asked)
        environment = asked.environment or task.environment
        if environment not in config.all_environments():
            raise Problem(
                422,
                "environment_not_found",
                f"task {task.id} is of the environment {shown(environment)}, which the configuration does not have; "
                "see /api/environments",
            )
        earlier = _equal(session, task, environment, model)[: asked.attempts] if asked.reuse else []
        rows += earlier
        rows += [_add(session, task, environment, model, asked, job, n) for n in range(len(earlier), asked.attempts)]
    session.flush()
    return rows


def new_row(task: Task, environment: str, model: str, *, job: str, member: int, priority: int = 0) -> RolloutRow:
    """A waiting rollout."""
    return RolloutRow(
        id=f"{time.time_ns() // 1_000_000:012x}{uuid.uuid4().hex[:12]}",
        source="hand",
        job_id=job,
        task_id=task.id,
        environment=environment,
        domain=task.domain[:200],
        goal=task.goal.replace("\x00", "\ufffd"),
        model=model,
        task=task.model_dump(mode="json"),
        member=member,
        status="pending",
        reason="waits for a free slot",
        priority=priority,
        created_at=time.time(),
    )


def _add(session: Session, task: Task, environment: str, model: str, asked: Spawn, job: str, member: int) -> RolloutRow:
    row = new_row(task, environment, model, job=job, member=member, priority=asked.priority)
    session.add(row)
    log(session, row.id, "pending", "asked for")
    return row


def _bounded(task: Task, asked: Spawn) -> Task:
    return task if asked.max_steps is None else task.model_copy(update={"max_steps": asked.max_steps})


def _model(config: PlayConfig, name: str | None) -> str:
    """The model's name in the configuration. Raises `Problem` if it is unknown, or can't be used here."""
    found = config.model_named(name)
    if found is None:
        raise Problem(422, "model_not_found", f"there is no model {shown(name or '')}; see /api/models")
    if problem := unavailable(config.all_models()[found]):
        raise Problem(409, "model_unavailable", problem)
    return found


def _equal(session: Session, task: Task, environment: str, model: str) -> list[RolloutRow]:
    """Earlier rollouts of the same task by the same model that are completed or running, newest first."""
    wanted = select(RolloutRow).where(
        RolloutRow.source == "hand",
        RolloutRow.task_id == task.id,
        RolloutRow.model == model,
        RolloutRow.environment == environment,
        RolloutRow.status.not_in(["failed", "cancelled"]),
    )
    rows = session.scalars(wanted.order_by(RolloutRow.created_at.desc()).limit(100))
    same = task.model_dump(mode="json")
    return [row for row in rows if row.task == same]
