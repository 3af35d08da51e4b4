"""Comparisons: the same tasks in two iterations, and judges against people. Each query is bounded."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Integer, cast, func, select
from sqlalchemy.orm import Session

from dashboard.database.tables import RolloutRow

MOST_TASKS = 5_000
MOST_LISTED = 100


class Side(NamedTuple):
    """One side of a comparison: a stage of an iteration of a run."""

    run: str
    iteration: int
    stage: str


class Tally(NamedTuple):
    """Judged rollouts of a task on one side."""

    judged: int
    successes: int
    newest: str
    """Id of one of its rollouts, to look at."""


def tallies(session: Session, side: Side) -> dict[str, Tally]:
    """Judged, completed rollouts of one side by task id; at most `MOST_TASKS` tasks."""
    row = RolloutRow
    query = (
        select(row.task_id, func.count(), func.sum(cast(row.verdict, Integer)), func.max(row.id))
        .where(row.run == side.run, row.iteration == side.iteration, row.stage == side.stage)
        .where(row.status == "completed", row.verdict.is_not(None))
        .group_by(row.task_id)
        .order_by(row.task_id)
        .limit(MOST_TASKS)
    )
    rows: Sequence[Any] = session.execute(query).all()
    return {task: Tally(judged, successes, newest) for task, judged, successes, newest in rows}


def confusion(session: Session) -> list[tuple[bool | None, bool, int]]:
    """Numbers of rollouts that a person judged: (the judge's verdict, the person's, number)."""
    row = RolloutRow
    query = select(row.success, row.human, func.count()).where(row.human.is_not(None)).group_by(row.success, row.human)
    return [(judge, bool(person), number) for judge, person, number in session.execute(query)]


def overruled(session: Session) -> list[RolloutRow]:
    """Rollouts whose judge and person disagree, newest first; at most `MOST_LISTED`."""
    row = RolloutRow
    query = select(row).where(row.human.is_not(None), row.success.is_not(None), row.human != row.success)
    return _newest(session, query)


def undecided(session: Session) -> list[RolloutRow]:
    """Completed rollouts that neither a judge nor a person decided, newest first; at most `MOST_LISTED`."""
    return _newest(session, select(RolloutRow).where(RolloutRow.verdict.is_(None), RolloutRow.status == "completed"))


def _newest(session: Session, query: Any) -> list[RolloutRow]:
    newest = query.order_by(RolloutRow.created_at.desc(), RolloutRow.number.desc()).limit(MOST_LISTED)
    return list(session.scalars(newest))
