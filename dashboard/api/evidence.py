"""Routes about what a rollout left, wherever it is stored: its replay, pictures, films, and its browser's screen now."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import NamedTuple

import httpx
from fastapi import APIRouter
from fastapi.responses import FileResponse, Response, StreamingResponse
from pydantic import ValidationError
from sqlalchemy import select
from starlette.background import BackgroundTask

from agent.types import Failure, StopReason, Task, Trajectory
from agent.verdict import Verdict
from dashboard import details
from dashboard.api.problems import Problem
from dashboard.api.rollouts import row_of
from dashboard.api.service import Service
from dashboard.api.trajectories import Around, FirstStep, StepCount, html_file, picture
from dashboard.database.tables import JudgmentRow, RolloutRow
from dashboard.store import NotFound, RunsDir
from dashboard.stored import Stored, open_stored, whole
from dashboard.trajectories import replay_of, steps_between
from dashboard.views import ConsoleList, Replay, RequestList, StepView, TokenView
from storage.human_verdicts import JUDGE as HUMAN
from storage.recordings.recorded import kind_of
from storage.store import TrajectoryStore

CONNECT_S = 5.0
LONGEST_SILENCE_S = 30.0
"""Seconds without a picture after which a stream is given up; the browser service repeats one every ten seconds."""
STREAM_TYPE = "multipart/x-mixed-replace"


class Place(NamedTuple):
    """The folders of a rollout's files."""

    runs: RunsDir
    """The directory that no path may leave: of the runs, or of the dashboard's own data."""
    folder: Path
    """The folder with its trajectory, as `storage.store.TrajectoryStore` has it."""
    row: RolloutRow


def evidence_router(service: Service) -> APIRouter:
    """Further routes below /api/rollouts/{id}."""
    router = APIRouter(prefix="/api/rollouts/{rollout_id}", tags=["evidence"])

    @router.get("/replay")
    def show_replay(rollout_id: str, around: Around = None) -> Replay:
        """Returns the rollout step by step; of one that is played, or was cancelled, the steps so far."""
        return replay_at(service, rollout_id, around)

    @router.get("/steps")
    def show_steps(rollout_id: str, first: FirstStep = 0, count: StepCount = 50) -> list[StepView]:
        """Returns some steps with the marks and texts of their pages."""
        return steps_between(_found(service, _place(service, rollout_id)).stored, first, count)

    @router.get("/file.html", response_class=Response)
    def show_file(rollout_id: str) -> Response:
        """Returns the rollout as one HTML file without scripts, to be sent around."""
        at = _place(service, rollout_id)
        stored, verdict = _found(service, at)
        found = stored.head.model_copy(update={"steps": tuple(stored.steps())})
        return html_file(found, _persons(service, rollout_id, found) or verdict, at.runs, at.folder)

    @router.get("/steps/{index}/tokens")
    def show_tokens(rollout_id: str, index: int) -> list[TokenView]:
        """Returns the sampled tokens of a step with their log-probabilities."""
        at = _place(service, rollout_id)
        run = service.runs.run(at.row.run) if at.row.source == "run" else None
        return details.tokens(_found(service, at).stored, index, run)

    @router.get("/requests")
    def show_requests(rollout_id: str) -> RequestList:
        """Returns the requests of the pages, where they were recorded."""
        at = _place(service, rollout_id)
        return details.requests(_found(service, at).stored, at.runs, at.folder)

    @router.get("/console")
    def show_console(rollout_id: str) -> ConsoleList:
        """Returns the messages of the pages' console, where they were recorded."""
        at = _place(service, rollout_id)
        return details.console(_found(service, at).stored, at.runs, at.folder)

    @router.get("/images/{sha256}", response_class=Response)
    def show_image(rollout_id: str, sha256: str) -> Response:
        """Returns a picture of the rollout by its content hash."""
        at = _place(service, rollout_id)
        return picture(at.runs.image(at.folder, sha256), sha256)

    @router.get("/recorded/{name}", response_class=FileResponse)
    def show_recorded(rollout_id: str, name: str) -> FileResponse:
        """Returns a film or a trace; supports ranges, for seeking in a film."""
        at = _place(service, rollout_id)
        path = at.runs.recorded(at.folder, at.row.trajectory_id or at.row.id, name)
        if kind_of(name) == "video":
            return FileResponse(path, media_type="video/webm")
        return FileResponse(path, media_type="application/zip", filename=f"{at.row.trajectory_id}.{name}")

    @router.get("/live", response_class=StreamingResponse, responses={200: {"content": {STREAM_TYPE: {}}}})
    async def live(rollout_id: str) -> StreamingResponse:
        """Streams the screen of the rollout's browser (multipart/x-mixed-replace of JPEGs), while it has one."""
        with service.database.read() as session:
            url = row_of(session, rollout_id).live_url
        if not url:
            raise Problem(409, "not_live", "this rollout has no browser now")
        return await _forwarded(url)

    return router


class Found(NamedTuple):
    """A rollout's trajectory with the verdict of its judges."""

    stored: Stored
    verdict: Verdict | None


def replay_at(service: Service, rollout_id: str, around: int | None = None) -> Replay:
    """A rollout step by step, with `around` as `replay_of` has it. Raises `Problem` and `NotFound`."""
    at = _place(service, rollout_id)
    found = _found(service, at)
    run, stage = (at.row.run, at.row.stage) if at.row.source == "run" else ("", "rollout")
    return replay_of(*found, at.runs, at.folder, run=run, stage=stage, around=around)


def _found(service: Service, at: Place) -> Found:
    """The trajectory that is stored at a place. Raises `NotFound` and `CorruptTrajectory`."""
    if at.row.source == "hand":
        return Found(_trajectory(at), _newest_verdict(service, at.row.id))
    at.runs.trajectory(at.folder, at.row.trajectory_id)
    found = open_stored(at.folder, at.row.trajectory_id)
    return Found(found, at.runs.verdicts(at.folder).get(found.head.id))


def _place(service: Service, rollout_id: str) -> Place:
    with service.database.read() as session:
        row = row_of(session, rollout_id)
        session.expunge(row)
    if row.source == "hand":
        return Place(RunsDir(service.settings.data), service.settings.rollouts, row)
    return Place(service.runs, service.runs.stage(row.run, str(row.iteration), row.stage), row)


async def _forwarded(url: str) -> StreamingResponse:
    """The browser service's stream, through this server: the lease's secret stays here. Raises `Problem`."""
    client = httpx.AsyncClient(timeout=httpx.Timeout(CONNECT_S, read=LONGEST_SILENCE_S))
    try:
        answer = await client.send(client.build_request("GET", url), stream=True)
    except httpx.HTTPError as error:
        await client.aclose()
        raise Problem(502, "no_browser_service", f"the browser service does not answer: {error}") from None
    kind = answer.headers.get("content-type", "")
    if answer.status_code != 200 or not kind.startswith(STREAM_TYPE):
        await answer.aclose()
        await client.aclose()
        raise Problem(409, "not_live", "this rollout has no browser any more")

    async def parts() -> AsyncGenerator[bytes]:
        try:
            async for part in answer.aiter_raw():
                yield part
        except httpx.HTTPError:  # the browser is gone: the picture stays as it was
            return

    async def close() -> None:
        await answer.aclose()
        await client.aclose()

    headers = {"cache-control": "no-store"}
    return StreamingResponse(parts(), media_type=kind, headers=headers, background=BackgroundTask(close))


def _trajectory(at: Place) -> Stored:
    """The rollout's trajectory; before there is one, one made of the steps so far. Raises `NotFound`."""
    store, row = TrajectoryStore(at.folder), at.row
    if store.has(row.id):
        return open_stored(at.folder, row.id)
    try:
        steps, task = tuple(store.steps_so_far(row.id)), Task.model_validate(row.task)
    except ValidationError as error:
        raise NotFound("the steps of this rollout were stored by another version of this program") from error
    if not steps:
        raise NotFound("this rollout has no step yet")
    message = "these are the steps so far" if row.status != "cancelled" else row.reason
    unfinished = Failure(side="infra", code=row.status.upper(), message=message, retryable=True)
    found = Trajectory(
        id=row.id,
        task=task,
        goal=row.goal or task.goal,
        group=row.job_id or row.id,
        member=row.member,
        iteration=0,
        steps=steps,
        stop=StopReason.FAILED,
        failure=unfinished,
        attempt=max(1, row.tries),
    )
    return whole(found)


def _newest_verdict(service: Service, rollout_id: str) -> Verdict | None:
    with service.database.read() as session:
        wanted = select(JudgmentRow.verdict).where(
            JudgmentRow.rollout_id == rollout_id, JudgmentRow.human.is_(False), JudgmentRow.verdict.is_not(None)
        )
        found = session.scalars(wanted.order_by(JudgmentRow.number.desc()).limit(1)).first()
    return None if found is None else Verdict.model_validate(found)


def _persons(service: Service, rollout_id: str, found: Trajectory) -> Verdict | None:
    """A person's newest verdict; None if nobody decided, or took it back."""
    with service.database.read() as session:
        wanted = select(JudgmentRow).where(JudgmentRow.rollout_id == rollout_id, JudgmentRow.human.is_(True))
        row = session.scalars(wanted.order_by(JudgmentRow.number.desc()).limit(1)).first()
    if row is None or row.success is None:
        return None
    reward = 1.0 if row.success else 0.0
    return Verdict(trajectory_id=found.id, reward=reward, judge=HUMAN, person=row.by, evidence=row.note)
