"""Routes about rollouts: spawn, list, one, cancel or delete. `rollout_actions.py` has the others that act."""

import shutil
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dashboard.api.models import RolloutView, Spawn
from dashboard.api.paging import next_page
from dashboard.api.problems import Problem, no_rollout, of_a_run, shown
from dashboard.api.service import Service, who
from dashboard.api.spawning import spawn
from dashboard.database.pages import COUNTED, BadCursor, RolloutFilter, count_rollouts, cursor_of, rollout_page
from dashboard.database.queue import cancel
from dashboard.database.states import ENDED, STATUSES, audit
from dashboard.database.tables import EventRow, JudgmentRow, RolloutRow


def rollout_filter(
    task_id: Annotated[str | None, Query(max_length=128)] = None,
    job_id: Annotated[str | None, Query(max_length=64)] = None,
    run: Annotated[str | None, Query(max_length=128)] = None,
    iteration: Annotated[int | None, Query(ge=0, le=999_999)] = None,
    stage: Annotated[str | None, Query(max_length=20)] = None,
    group: Annotated[str | None, Query(max_length=200)] = None,
    status: Annotated[str | None, Query(max_length=100, description="one or several, separated by commas")] = None,
    success: bool | None = None,
    model: Annotated[str | None, Query(max_length=200)] = None,
    source: Annotated[str | None, Query(pattern="^(hand|run)$")] = None,
    min_reward: Annotated[float | None, Query(ge=0, le=1)] = None,
    max_reward: Annotated[float | None, Query(ge=0, le=1)] = None,
    failure: Annotated[str | None, Query(max_length=60, description="a side or a code")] = None,
    judged_by_person: bool | None = None,
    q: Annotated[str | None, Query(max_length=200, description="words of task, goal, answer or error")] = None,
) -> RolloutFilter:
    """The filter of a list, an export or an analysis."""
    if status is not None and (unknown := set(status.split(",")) - set(STATUSES)):
        raise Problem(422, "invalid_request", f"status: {shown(min(unknown))} is none of {', '.join(STATUSES)}")
    return RolloutFilter(
        task_id, job_id, run, iteration, stage, group, status, success, model, source, min_reward, max_reward, failure,
        judged_by_person, q,
    )  # fmt: skip


Filter = Annotated[RolloutFilter, Depends(rollout_filter)]


def rollouts_router(service: Service) -> APIRouter:
    """Routes below /api/rollouts."""
    router = APIRouter(prefix="/api/rollouts", tags=["rollouts"])
    for add in (_add_spawning, _add_reading, _add_ending):
        add(router, service)
    return router


def _add_spawning(router: APIRouter, service: Service) -> None:
    @router.post("")
    def spawn_rollouts(request: Request, asked: Spawn) -> list[RolloutView]:
        """Puts rollouts into the queue: `attempts` of each task. Answers with all of them."""
        with service.database.write() as session:
            rows = spawn(session, service.config, asked)
            audit(session, who(request), "spawn", rows[0].job_id, f"{len(rows)} rollouts with {rows[0].model}")
            return [RolloutView.of(row) for row in rows]


def _add_reading(router: APIRouter, service: Service) -> None:
    @router.get("")
    def list_rollouts(
        request: Request,
        response: Response,
        wanted: Filter,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> list[RolloutView]:
        """Returns the rollouts that pass the filter, newest first. `Link` has the next page, `x-total-count` their
        number (on the first page; `10000+` for a search with more matches)."""
        try:
            with service.database.read() as session:
                rows = rollout_page(session, wanted, limit=limit, cursor=cursor)
                if cursor is None:
                    number = count_rollouts(session, wanted)
                    more = "+" if wanted.q and number == COUNTED else ""
                    response.headers["x-total-count"] = f"{number}{more}"
        except BadCursor as error:
            raise Problem(422, "bad_cursor", str(error)) from None
        if len(rows) > limit:
            rows = rows[:limit]
            next_page(request, response, cursor_of(rows[-1]))
        return [RolloutView.of(row) for row in rows]

    @router.get("/{rollout_id}")
    def show_rollout(rollout_id: str) -> RolloutView:
        """Returns one rollout."""
        with service.database.read() as session:
            return RolloutView.of(row_of(session, rollout_id))


def _add_ending(router: APIRouter, service: Service) -> None:
    @router.delete("/{rollout_id}")
    def cancel_or_delete(request: Request, response: Response, rollout_id: str) -> RolloutView:
        """Cancels a rollout that has not ended (202 while its agent and browser are being stopped), deletes one that has."""
        with service.database.write() as session:
            row = own_row(session, rollout_id)
            if row.status in ENDED:
                gone = RolloutView.of(row)
                _delete(session, service, row.id)
                audit(session, who(request), "delete", rollout_id)
                return gone
            return _cancel(session, request, response, rollout_id)

    @router.post("/{rollout_id}/cancel")
    def cancel_rollout(request: Request, response: Response, rollout_id: str) -> RolloutView:
        """Cancels a rollout (202 while its agent and browser are being stopped); one that has ended stays as it is."""
        with service.database.write() as session:
            own_row(session, rollout_id)
            return _cancel(session, request, response, rollout_id)


def _cancel(session: Session, request: Request, response: Response, rollout_id: str) -> RolloutView:
    if cancel(session, rollout_id, who(request)) not in ENDED:
        response.status_code = 202
    audit(session, who(request), "cancel", rollout_id)
    session.expire_all()
    return RolloutView.of(row_of(session, rollout_id))


def _delete(session: Session, service: Service, rollout_id: str) -> None:
    for table in (EventRow, JudgmentRow):
        session.execute(delete(table).where(table.rollout_id == rollout_id))
    session.execute(delete(RolloutRow).where(RolloutRow.id == rollout_id))
    # The pictures stay: other rollouts may show the same page. `rl-loop compact` has the same rule.
    shutil.rmtree(service.settings.rollouts / rollout_id, ignore_errors=True)


def row_of(session: Session, rollout_id: str) -> RolloutRow:
    """The row of a rollout. Raises `Problem`."""
    row = session.scalars(select(RolloutRow).where(RolloutRow.id == rollout_id)).one_or_none()
    if row is None:
        raise no_rollout(rollout_id)
    return row


def own_row(session: Session, rollout_id: str) -> RolloutRow:
    """The row of a rollout that was played by hand. Raises `Problem`."""
    row = row_of(session, rollout_id)
    if row.source != "hand":
        raise of_a_run(rollout_id)
    return row
