"""Routes for operators and for the forms: health, models, environments, counts, analysis, the audit log, events."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncGenerator
from typing import Annotated, Literal, Self

import httpx
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from dashboard.api.models import RolloutView, iso
from dashboard.api.rollouts import Filter
from dashboard.api.service import Service
from dashboard.database.pages import Group, grouped
from dashboard.database.states import STATUSES
from dashboard.database.tables import AuditRow, EventRow, RolloutRow
from dashboard.views import View
from dashboard.worker.config import unavailable
from dashboard.worker.process import last_words
from dashboard.worker.worker_lock import holder
from judging.meta.agreement import wilson

EVENTS_S = 0.5
"""Interval in which the event stream looks for new lines."""
PING_S = 15.0
BROWSERS_S = 2.0


class ModelView(View):
    """A model that can be chosen."""

    name: str
    kind: str
    model: str
    default: bool
    problem: str
    """Why it can't be used on this machine; empty if it can."""


class EnvironmentView(View):
    """An environment that can be chosen."""

    name: str
    kind: str
    default: bool


class Health(View):
    """State of the dashboard and of what it needs."""

    status: Literal["ok", "degraded"]
    database: str
    worker: str
    browsers: str
    """`ok`, or what is wrong in a sentence."""


class Stats(View):
    """Counts for the head of the pages, as the first dashboard had them."""

    counts: dict[str, int]
    pending: int
    in_progress: int
    max_workers: int
    free_bytes: int
    """Disk space where rollouts are stored."""


class GroupView(View):
    """One line of an analysis."""

    key: str
    rollouts: int
    judged: int
    successes: int
    failed: int
    success_rate: float | None
    success_low: float | None
    success_high: float | None
    steps: float | None
    seconds: float | None

    @classmethod
    def of(cls, group: Group) -> Self:
        """From the counts of a group."""
        rate = wilson(group.successes or 0, group.judged or 0)
        low, high = (rate.low, rate.high) if rate else (None, None)
        rates = {"success_rate": rate.value if rate else None, "success_low": low, "success_high": high}
        return cls.model_validate(group._asdict() | rates)


class AuditLine(View):
    """A line of the audit log."""

    at: str
    who: str
    action: str
    subject: str
    detail: str


def operation_router(service: Service) -> APIRouter:
    """Routes that belong to no single rollout."""
    router = APIRouter(tags=["operation"])
    for add in (_add_health, _add_choices, _add_now, _add_past, _add_events):
        add(router, service)
    return router


def _add_health(router: APIRouter, service: Service) -> None:
    @router.get("/health", response_model=Health)
    async def health() -> JSONResponse:
        """Returns 200 while the database answers; the worker's and the browser service's state is told, too."""
        ill = await asyncio.to_thread(_database_problem, service)
        worker = (
            "ok"
            if holder(service.settings.data) is not None
            else f"no worker is running {last_words(service.settings.data)}".strip()
        )
        browsers = await _browsers(service.settings.browsers)
        status = "ok" if (ill, worker, browsers) == ("ok", "ok", "ok") else "degraded"
        found = Health(status=status, database=ill, worker=worker, browsers=browsers)
        return JSONResponse(found.model_dump(), 200 if ill == "ok" else 503)


def _add_choices(router: APIRouter, service: Service) -> None:
    @router.get("/api/models")
    def models() -> list[ModelView]:
        """Returns the models that can be chosen."""
        default = service.config.model_named(None)
        return [
            ModelView(
                name=name,
                kind=model.kind,
                model=getattr(model, "model", ""),
                default=name == default,
                problem=unavailable(model),
            )
            for name, model in service.config.all_models().items()
        ]

    @router.get("/api/environments")
    def environments() -> list[EnvironmentView]:
        """Returns the environments that can be chosen."""
        return [
            EnvironmentView(name=name, kind=one.name, default=name == service.config.default_environment)
            for name, one in service.config.all_environments().items()
        ]


def _add_now(router: APIRouter, service: Service) -> None:
    @router.get("/api/compute/stats")
    def stats() -> Stats:
        """Returns the counts of the rollouts that were asked for here."""
        with service.database.read() as session:
            own = select(RolloutRow.status, func.count()).where(RolloutRow.source == "hand").group_by(RolloutRow.status)
            found = dict(session.execute(own).all())
        counts: dict[str, int] = {status: found.get(status, 0) for status in STATUSES}
        active = sum(counts[status] for status in ("provisioning", "running", "judging"))
        return Stats(
            counts=counts,
            pending=counts["pending"],
            in_progress=active,
            max_workers=service.settings.max_workers,
            free_bytes=shutil.disk_usage(service.settings.data).free,
        )

    @router.get("/api/live")
    def live() -> list[RolloutView]:
        """Returns the rollouts that are played now, the oldest first, at most 500."""
        active = RolloutRow.status.in_(["provisioning", "running", "judging"])
        with service.database.read() as session:
            wanted = (
                select(RolloutRow).where(RolloutRow.source == "hand", active).order_by(RolloutRow.number).limit(500)
            )
            return [RolloutView.of(row) for row in session.scalars(wanted)]


def _add_past(router: APIRouter, service: Service) -> None:
    @router.get("/api/analysis")
    def analysis(
        wanted: Filter,
        by: Literal[
            "model", "environment", "domain", "run", "iteration", "status", "stop", "failure", "steps"
        ] = "model",
    ) -> list[GroupView]:
        """Returns success rates by a column, over the rollouts that pass the filter."""
        with service.database.read() as session:
            found = grouped(session, by, wanted)
        return [GroupView.of(group) for group in found]

    @router.get("/api/audit")
    def audit_log(limit: Annotated[int, Query(ge=1, le=1_000)] = 200) -> list[AuditLine]:
        """Returns who did what, newest first."""
        with service.database.read() as session:
            rows = session.scalars(select(AuditRow).order_by(AuditRow.number.desc()).limit(limit))
            names = ("who", "action", "subject", "detail")
            return [
                AuditLine.model_validate({"at": iso(row.at), **{name: getattr(row, name) for name in names}})
                for row in rows
            ]


def _add_events(router: APIRouter, service: Service) -> None:
    @router.get(
        "/api/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}}
    )
    async def events(
        request: Request, last_event_id: Annotated[str | None, Header()] = None, after: int | None = None
    ) -> StreamingResponse:
        """Server-sent events: each new line of a rollout's log. `Last-Event-ID` resumes where a stream broke off."""
        begin = int(last_event_id) if last_event_id and last_event_id.isdigit() else after
        source = _events(service, request, begin)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(source, media_type="text/event-stream", headers=headers)


async def _events(service: Service, request: Request, begin: int | None) -> AsyncGenerator[str]:
    last = await asyncio.to_thread(_newest_event, service) if begin is None else begin
    yield f"retry: 2000\nid: {last}\n\n"
    told = time.monotonic()
    while not await request.is_disconnected():
        for row in await asyncio.to_thread(_events_after, service, last):
            last, told = row.number, time.monotonic()
            data = {"rollout": row.rollout_id, "at": iso(row.at), "status": row.status, "text": row.text}
            yield f"id: {last}\nevent: rollout\ndata: {json.dumps(data)}\n\n"
        if time.monotonic() - told > PING_S:
            told = time.monotonic()
            yield ": still there\n\n"
        await asyncio.sleep(EVENTS_S)


def _newest_event(service: Service) -> int:
    with service.database.read() as session:
        return session.scalar(select(func.max(EventRow.number))) or 0


def _events_after(service: Service, number: int) -> list[EventRow]:
    with service.database.read() as session:
        return list(
            session.scalars(select(EventRow).where(EventRow.number > number).order_by(EventRow.number).limit(500))
        )


def _database_problem(service: Service) -> str:
    try:
        with service.database.read() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        return f"the database does not answer ({type(error).__name__})"
    return "ok"


async def _browsers(url: str) -> str:
    first = url.split(",")[0].rstrip("/")
    try:
        async with httpx.AsyncClient(timeout=BROWSERS_S) as client:
            answer = await client.get(f"{first}/readyz")
    except (httpx.HTTPError, httpx.InvalidURL):
        return f"no browser service answers at {first}; start one with `browser-service up` or `rl-loop up`"
    return "ok" if answer.status_code == 200 else f"the browser service at {first} is not ready"
