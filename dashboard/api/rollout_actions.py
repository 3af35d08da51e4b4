"""Routes that act on a rollout that has ended: retry, judge again, a person's verdict; its verdicts and its log."""

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from agent.types import Task
from dashboard.api.models import HumanVerdict, JudgmentView, LogLine, RolloutView, iso
from dashboard.api.problems import Problem
from dashboard.api.rollouts import own_row, row_of
from dashboard.api.service import Service, who
from dashboard.api.spawning import new_row
from dashboard.database.pages import newest_judgments
from dashboard.database.queue import pause
from dashboard.database.states import ENDED, audit, log, move
from dashboard.database.tables import EventRow, JudgmentRow, RolloutRow
from storage.store import TrajectoryStore


def actions_router(service: Service) -> APIRouter:
    """Further routes below /api/rollouts/{id}."""
    router = APIRouter(prefix="/api/rollouts/{rollout_id}", tags=["rollouts"])
    for add in (_add_playing, _add_pausing, _add_judging, _add_reading):
        add(router, service)
    return router


def _add_playing(router: APIRouter, service: Service) -> None:
    @router.post("/retry")
    def retry(request: Request, rollout_id: str) -> RolloutView:
        """Plays the same task again, as a new rollout."""
        with service.database.write() as session:
            return RolloutView.of(_retry(session, rollout_id, who(request)))

    @router.post("/rejudge")
    def rejudge(request: Request, rollout_id: str) -> RolloutView:
        """Asks the judges again about the stored trajectory."""
        with service.database.write() as session:
            own_row(session, rollout_id)
            if not TrajectoryStore(service.settings.rollouts).has(rollout_id):
                raise Problem(409, "no_trajectory", "this rollout has no complete trajectory that could be judged")
            asks = f"{who(request)} asks the judges again"
            if not move(session, rollout_id, "judging", asks, completed_at=None, cancel_by=""):
                raise Problem(409, "not_ended", "only a completed or failed rollout can be judged again")
            audit(session, who(request), "rejudge", rollout_id)
            session.expire_all()
            return RolloutView.of(row_of(session, rollout_id))


def _add_pausing(router: APIRouter, service: Service) -> None:
    @router.post("/pause")
    def pause_rollout(request: Request, rollout_id: str) -> RolloutView:
        """Holds a rollout before its next turn; its browser stays open."""
        return _hold(service, rollout_id, who(request), hold=True)

    @router.post("/resume")
    def resume_rollout(request: Request, rollout_id: str) -> RolloutView:
        """Lets a paused rollout go on."""
        return _hold(service, rollout_id, who(request), hold=False)


def _add_judging(router: APIRouter, service: Service) -> None:
    @router.post("/verdict")
    def judge_by_hand(request: Request, rollout_id: str, verdict: HumanVerdict) -> RolloutView:
        """Stores a person's verdict, which counts before the judges'. Also for rollouts of runs; the run is not changed."""
        with service.database.write() as session:
            _judge(session, rollout_id, verdict, who(request))
            session.expire_all()
            return RolloutView.of(row_of(session, rollout_id))


def _add_reading(router: APIRouter, service: Service) -> None:
    @router.get("/judgments")
    def judgments(rollout_id: str) -> list[JudgmentView]:
        """Returns all verdicts that this dashboard stored on a rollout, newest first."""
        with service.database.read() as session:
            row_of(session, rollout_id)
            return [JudgmentView.of(row) for row in newest_judgments(session, rollout_id)]

    @router.get("/log")
    def show_log(rollout_id: str, after: Annotated[int, Query(ge=0)] = 0) -> list[LogLine]:
        """Returns the rollout's log: each status with its reason and time; `after` is the number of a line."""
        with service.database.read() as session:
            row_of(session, rollout_id)
            wanted = select(EventRow).where(EventRow.rollout_id == rollout_id, EventRow.number > after)
            rows = session.scalars(wanted.order_by(EventRow.number).limit(1_000))
            return [LogLine(number=row.number, at=iso(row.at) or "", status=row.status, text=row.text) for row in rows]


def _hold(service: Service, rollout_id: str, name: str, *, hold: bool) -> RolloutView:
    with service.database.write() as session:
        row = own_row(session, rollout_id)
        if not pause(session, rollout_id, name, hold=hold):
            raise Problem(409, "not_played", f"this rollout is {row.status}; only one that is played can be paused")
        audit(session, name, "pause" if hold else "resume", rollout_id)
        session.expire_all()
        return RolloutView.of(row_of(session, rollout_id))


def _retry(session: Session, rollout_id: str, name: str) -> RolloutRow:
    """Adds the new rollout of a retry. Raises `Problem` when the old one has not ended."""
    row = own_row(session, rollout_id)
    if row.status not in ENDED:
        raise Problem(409, "not_ended", f"this rollout is {row.status}; cancel it first, or wait for its end")
    try:
        task = Task.model_validate(row.task)
    except ValidationError:
        raise Problem(409, "task_unusable", "this rollout's task was stored by another version") from None
    new = new_row(task, row.environment, row.model, job=row.job_id, member=row.member, priority=row.priority)
    new.retry_of = row.id
    session.add(new)
    log(session, new.id, "pending", f"{name} retries {row.id}")
    log(session, row.id, row.status, f"{name} retries it as {new.id}")
    audit(session, name, "retry", rollout_id, new.id)
    session.flush()
    return new


def _judge(session: Session, rollout_id: str, verdict: HumanVerdict, name: str) -> None:
    """Stores a person's verdict. Raises `Problem` when the rollout has not ended."""
    row = row_of(session, rollout_id)
    if row.status not in ENDED:
        raise Problem(409, "not_ended", f"this rollout is {row.status}; wait for its end")
    note = verdict.note.replace("\x00", "\ufffd")
    session.add(
        JudgmentRow(rollout_id=rollout_id, at=time.time(), by=name, human=True, success=verdict.success, note=note)
    )
    session.execute(update(RolloutRow).where(RolloutRow.id == rollout_id).values(human=verdict.success))
    words = {True: "a success", False: "no success", None: "not judged by hand any more"}[verdict.success]
    log(session, rollout_id, row.status, f"{name} says: {words}")
    audit(session, name, "verdict", rollout_id, words)
