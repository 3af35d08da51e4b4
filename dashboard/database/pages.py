"""Lists of rollouts and tasks: filters, search, pages by cursor. Every query here is bounded by `MOST` rows."""

import base64
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar, get_args

from sqlalchemy import ColumnElement, Float, Select, case, cast, func, or_, select, tuple_
from sqlalchemy.orm import Session

from agent.types import Side
from dashboard.database.searching import COUNTED, has_words
from dashboard.database.tables import JudgmentRow, RolloutRow, TaskRow

MOST = 1_000
"""Largest page."""
Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])


class BadCursor(ValueError):
    """A cursor that this server did not give out."""


class RolloutFilter(NamedTuple):
    """Which rollouts; None accepts all. `human` counts before the judge's verdict in `success`."""

    task_id: str | None = None
    job_id: str | None = None
    run: str | None = None
    iteration: int | None = None
    stage: str | None = None
    group: str | None = None
    status: str | None = None
    """One or several, separated by commas."""
    success: bool | None = None
    model: str | None = None
    source: str | None = None
    min_reward: float | None = None
    max_reward: float | None = None
    failure: str | None = None
    """A side or a code."""
    judged_by_person: bool | None = None
    q: str | None = None
    """Words of task id, goal, answer or error; all must begin so somewhere."""


def rollout_page(session: Session, wanted: RolloutFilter, *, limit: int, cursor: str | None) -> list[RolloutRow]:
    """The newest rollouts first; one more than `limit` when there is a next page. Raises `BadCursor`."""
    query = filtered(session, select(RolloutRow.number), wanted)
    if cursor is not None:
        query = query.where(tuple_(RolloutRow.created_at, RolloutRow.number) < tuple_(*parse_cursor(cursor)))
    newest = (RolloutRow.created_at.desc(), RolloutRow.number.desc())
    # The numbers first, which an index alone can give and sort; the rows are wide.
    numbers = session.scalars(query.order_by(*newest).limit(min(limit, MOST) + 1)).all()
    return list(session.scalars(select(RolloutRow).where(RolloutRow.number.in_(numbers)).order_by(*newest)))


def count_rollouts(session: Session, wanted: RolloutFilter) -> int:
    """Number of rollouts that pass the filter; of a search at most `COUNTED`, because every match has to be looked at."""
    if not wanted.q:
        return session.scalar(filtered(session, select(func.count()).select_from(RolloutRow), wanted)) or 0
    matches = filtered(session, select(RolloutRow.number), wanted).limit(COUNTED).subquery()
    return session.scalar(select(func.count()).select_from(matches)) or 0


def all_rollouts(session: Session, wanted: RolloutFilter) -> Iterator[RolloutRow]:
    """All rollouts that pass the filter, newest first, page by page: memory does not grow with their number."""
    cursor: str | None = None
    while True:
        page = rollout_page(session, wanted, limit=MOST, cursor=cursor)
        yield from page[:MOST]
        if len(page) <= MOST:
            return
        cursor = cursor_of(page[MOST - 1])
        session.expunge_all()


def filtered(session: Session, query: Query, wanted: RolloutFilter) -> Query:
    """The query with the conditions of a filter."""
    row = RolloutRow
    conditions: list[ColumnElement[bool] | None] = [
        None if wanted.task_id is None else row.task_id == wanted.task_id,
        None if wanted.job_id is None else row.job_id == wanted.job_id,
        None if wanted.run is None else row.run == wanted.run,
        None if wanted.iteration is None else row.iteration == wanted.iteration,
        None if wanted.stage is None else row.stage == wanted.stage,
        None if wanted.group is None else row.group_id == wanted.group,
        None if wanted.status is None else row.status.in_(wanted.status.split(",")),
        None if wanted.success is None else row.verdict.is_(wanted.success),
        None if wanted.model is None else row.model == wanted.model,
        None if wanted.source is None else row.source == wanted.source,
        None if wanted.min_reward is None else row.reward >= wanted.min_reward,
        None if wanted.max_reward is None else row.reward <= wanted.max_reward,
        None if wanted.failure is None else _failure(wanted.failure),
        None if wanted.judged_by_person is None else row.human.is_not(None) == wanted.judged_by_person,
        None if not wanted.q else has_words(session, wanted.q),
    ]
    return query.where(*(condition for condition in conditions if condition is not None))


def cursor_of(row: RolloutRow) -> str:
    """The cursor after a row."""
    return base64.urlsafe_b64encode(f"{row.created_at!r}:{row.number}".encode()).decode()


def parse_cursor(cursor: str) -> tuple[float, int]:
    """The position of a cursor. Raises `BadCursor`."""
    try:
        at, _, number = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        return float(at), int(number)
    except (ValueError, UnicodeError):
        raise BadCursor("the cursor is not one that this server gave out; begin without one") from None


class TaskCounts(NamedTuple):
    """Rollouts of a task."""

    jobs: int
    rollouts: int
    completed: int
    judged: int
    """Completed ones with a verdict: the denominator of the success rate."""
    successes: int


NOTHING = TaskCounts(0, 0, 0, 0, 0)


def task_page(session: Session, *, q: str | None, source: str | None, limit: int, after: str | None) -> list[TaskRow]:
    """Tasks by id; one more than `limit` when there is a next page. `q` is a part of id, goal or domain."""
    query = task_query(select(TaskRow), q=q, source=source)
    if after is not None:
        query = query.where(TaskRow.id > after)
    return list(session.scalars(query.order_by(TaskRow.id).limit(min(limit, MOST) + 1)))


def task_query(query: Query, *, q: str | None, source: str | None) -> Query:
    """The query with the conditions on tasks."""
    if source is not None:
        query = query.where(TaskRow.source == source)
    for word in (q or "").split()[:8]:
        like = (column.icontains(word, autoescape=True) for column in (TaskRow.id, TaskRow.goal, TaskRow.domain))
        query = query.where(or_(*like))
    return query


def counts_of(session: Session, task_ids: list[str]) -> dict[str, TaskCounts]:
    """The rollouts of tasks, by task id."""
    row = RolloutRow
    judged = case((RolloutRow.verdict.is_not(None), 1), else_=0)
    won = case((RolloutRow.verdict.is_(True), 1), else_=0)
    done = case((row.status == "completed", 1), else_=0)
    query = (
        select(
            row.task_id,
            func.count(func.distinct(func.nullif(row.job_id, ""))),
            func.count(),
            func.sum(done),
            func.sum(judged * done),
            func.sum(won * done),
        )
        .where(row.task_id.in_(task_ids))
        .group_by(row.task_id)
    )
    return {task_id: TaskCounts(*counts) for task_id, *counts in session.execute(query)}


class Group(NamedTuple):
    """One line of an analysis."""

    key: str
    rollouts: int
    judged: int
    successes: int
    failed: int
    steps: float | None
    seconds: float | None


GROUPINGS = {
    "model": RolloutRow.model,
    "environment": RolloutRow.environment,
    "domain": RolloutRow.domain,
    "run": RolloutRow.run,
    "iteration": RolloutRow.iteration,
    "status": RolloutRow.status,
    "stop": RolloutRow.stop,
    "failure": RolloutRow.failure_code,
    "steps": RolloutRow.steps,
}


def grouped(session: Session, by: str, wanted: RolloutFilter) -> list[Group]:
    """Counts by a column, the most frequent first; at most 200 lines. Raises KeyError."""
    key, done = GROUPINGS[by], RolloutRow.status == "completed"
    query = select(
        key,
        func.count(),
        func.sum(case((done & RolloutRow.verdict.is_not(None), 1), else_=0)),
        func.sum(case((done & RolloutRow.verdict.is_(True), 1), else_=0)),
        func.sum(case((RolloutRow.status == "failed", 1), else_=0)),
        cast(func.avg(RolloutRow.steps), Float),
        func.avg(RolloutRow.seconds),
    )
    lines = filtered(session, query, wanted).group_by(key).order_by(func.count().desc()).limit(200)
    rows: Sequence[Any] = session.execute(lines).all()
    return [Group(*(str(row[0]), *row[1:])) for row in rows]


def newest_judgments(session: Session, rollout_id: str) -> list[JudgmentRow]:
    """All verdicts on a rollout, newest first."""
    wanted = select(JudgmentRow).where(JudgmentRow.rollout_id == rollout_id).order_by(JudgmentRow.number.desc())
    return list(session.scalars(wanted.limit(100)))


def _failure(name: str) -> ColumnElement[bool]:
    return RolloutRow.failure_side == name if name in get_args(Side) else RolloutRow.failure_code == name
