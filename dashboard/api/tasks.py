"""Routes about tasks: upload, list, one task."""

import tempfile
import time
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, UploadFile
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from agent.types import Task
from dashboard.api.models import RejectedRow, TaskView, UploadReport
from dashboard.api.paging import next_page
from dashboard.api.problems import Problem, no_task, shown
from dashboard.api.service import Service, who
from dashboard.database.pages import NOTHING, counts_of, task_page
from dashboard.database.states import audit
from dashboard.database.tables import TaskRow
from environments.taskfiles.reading import Reading, Rejected, TaskFileError, open_source, read_tasks

MOST_BYTES = 64 << 20
"""Largest upload: a million short tasks."""
MOST_REJECTED = 1_000
"""Rejected rows that a report names; the others are counted."""
BATCH = 500


def tasks_router(service: Service) -> APIRouter:
    """Routes below /api/tasks."""
    router = APIRouter(prefix="/api/tasks", tags=["tasks"])

    @router.post("/upload")
    def upload(request: Request, file: UploadFile, environment: str | None = None) -> UploadReport:
        """Stores the tasks of a file: the first dashboard's tasks.json (id, task, answer), WebGym's JSONL, or our own.

        A task whose id is there already is replaced. Rows that are no tasks are reported and hinder no others.
        """
        name = environment or service.config.default_environment
        known = service.config.all_environments()
        if name not in known:
            raise Problem(422, "environment_not_found", f"there is no environment {shown(name)}; see /api/environments")
        tasks = known[name].tasks
        reading = Reading(environment=name, split="heldout", start_url=tasks.start_url if tasks else "")
        with tempfile.TemporaryDirectory(prefix="upload-") as folder:
            path = Path(folder) / "tasks.json"
            _receive(file, path)
            try:
                report = _store(service, path, reading)
            except TaskFileError as error:
                raise Problem(422, "not_a_task_file", str(error).replace(str(path), "the file")) from None
        if not report.count and not report.rejected:
            raise Problem(422, "no_tasks", "the file has no rows: expected a JSON array of {id, task, answer}")
        with service.database.write() as session:
            audit(session, who(request), "upload", (file.filename or "")[:200], report.message)
        return report

    @router.get("")
    def list_tasks(
        request: Request,
        response: Response,
        q: Annotated[str | None, Query(max_length=200)] = None,
        source: Annotated[str | None, Query(pattern="^(upload|run)$")] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> list[TaskView]:
        """Returns tasks in the order of their ids, with the counts of their rollouts. The next page is in `Link`."""
        with service.database.read() as session:
            rows = task_page(session, q=q, source=source, limit=limit, after=cursor)
            if len(rows) > limit:
                rows = rows[:limit]
                next_page(request, response, rows[-1].id)
            counts = counts_of(session, [row.id for row in rows])
            return [TaskView.of(row, counts.get(row.id, NOTHING)) for row in rows]

    @router.get("/{task_id}")
    def show_task(task_id: str) -> TaskView:
        """Returns one task."""
        with service.database.read() as session:
            row = session.scalars(select(TaskRow).where(TaskRow.id == task_id)).one_or_none()
            if row is None:
                raise no_task(task_id)
            return TaskView.of(row, counts_of(session, [task_id]).get(task_id, NOTHING))

    return router


def _receive(file: UploadFile, path: Path) -> None:
    with path.open("wb") as target:
        size = 0
        while part := file.file.read(1 << 20):
            size += len(part)
            if size > MOST_BYTES:
                sentence = f"the file is larger than {MOST_BYTES >> 20} MiB; split it"
                raise Problem(413, "upload_too_large", sentence)
            target.write(part)


def _store(service: Service, path: Path, reading: Reading) -> UploadReport:
    inserted, updated, refused, rejected = 0, 0, 0, list[RejectedRow]()
    batch: list[Task] = []

    def flush() -> None:
        nonlocal inserted, updated
        with service.database.write() as session:
            old = _upsert(session, batch)
        inserted, updated = inserted + len(batch) - old, updated + old
        batch.clear()

    for index, found in enumerate(read_tasks(open_source(str(path)), reading)):
        if isinstance(found, Rejected):
            refused += 1
            if len(rejected) < MOST_REJECTED:
                rejected.append(RejectedRow(index=index, line=found.number, reason=found.reason))
        else:
            batch.append(found)
        if len(batch) == BATCH:
            flush()
    flush()
    count = inserted + updated
    message = f"{count} tasks stored ({inserted} new, {updated} replaced), {refused} rows rejected"
    return UploadReport(message=message, count=count, inserted=inserted, updated=updated, rejected=rejected)


def _upsert(session: Session, tasks: list[Task]) -> int:
    """Stores tasks; returns the number of those that were replaced."""
    there = session.scalars(select(TaskRow).where(TaskRow.id.in_([task.id for task in tasks])))
    rows = {row.id: row for row in there}
    old = len(rows)
    for task in tasks:
        row = rows.get(task.id)
        if row is None:
            row = rows[task.id] = TaskRow(id=task.id, created_at=time.time())
            session.add(row)
        row.environment, row.goal, row.domain = task.environment[:100], _clean(task.goal), task.domain[:200]
        row.answer = task.reference_answer
        row.source, row.content = "upload", task.model_dump(mode="json")
    return old


def _clean(text: str) -> str:
    return text.replace("\x00", "\ufffd")


def task_of(session: Session, task_id: str) -> Task:
    """The task of a row. Raises `Problem`."""
    row = session.scalars(select(TaskRow).where(TaskRow.id == task_id)).one_or_none()
    if row is None:
        raise no_task(task_id)
    try:
        return Task.model_validate(row.content)
    except ValidationError:
        raise Problem(409, "task_unusable", f"task {task_id} was stored by another version; upload it again") from None
