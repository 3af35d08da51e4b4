"""Routes about trajectories: the list of a stage, one replay, its pictures, its recordings."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response

from agent.types import StopReason, Trajectory
from agent.verdict import Verdict
from dashboard import details
from dashboard.store import Damaged, RunsDir
from dashboard.stored import Stored, open_stored
from dashboard.trajectories import Filter, list_trajectories, replay, steps_between
from dashboard.views import ConsoleList, Outcome, Replay, RequestList, StepView, TokenView, TrajectoryList
from storage.recordings.recorded import kind_of
from storage.sharing.html_file import trajectory_file
from storage.sharing.picture import media_type_of
from storage.store import TrajectoryStore

Around = Annotated[
    int | None,
    Query(ge=0, description="of a long trajectory, only the steps beside this index get their marks and texts"),
]
FirstStep = Annotated[int, Query(ge=0)]
StepCount = Annotated[int, Query(ge=1, le=200)]
FOREVER = "private, max-age=31536000, immutable"
"""A picture is named by its content, so the browser never needs to ask again."""


def trajectories_router(runs: RunsDir) -> APIRouter:
    """Routes below one stage of one iteration of a run."""
    router = APIRouter(prefix="/api/runs/{run}/iterations/{iteration}/{stage}", tags=["trajectories"])

    def read(run: str, iteration: str, stage: str, trajectory_id: str) -> tuple[Path, Stored]:
        stage_dir = runs.stage(run, iteration, stage)
        runs.trajectory(stage_dir, trajectory_id)
        return stage_dir, open_stored(stage_dir, trajectory_id)

    @router.get("/trajectories")
    def show_list(
        run: str,
        iteration: str,
        stage: str,
        outcome: Outcome | None = None,
        stop: StopReason | None = None,
        domain: Annotated[str | None, Query(max_length=200)] = None,
    ) -> TrajectoryList:
        """Returns the stage's trajectories that pass the filter, in the order of their ids."""
        return list_trajectories(runs, run, iteration, stage, Filter(outcome, stop, domain))

    @router.get("/trajectories/{trajectory_id}")
    def show_replay(run: str, iteration: str, stage: str, trajectory_id: str, around: Around = None) -> Replay:
        """Returns one trajectory, step by step, with its verdict."""
        return replay(runs, run, iteration, stage, trajectory_id, around)

    @router.get("/trajectories/{trajectory_id}/steps")
    def show_steps(
        run: str, iteration: str, stage: str, trajectory_id: str, first: FirstStep = 0, count: StepCount = 50
    ) -> list[StepView]:
        """Returns some steps with the marks and texts of their pages."""
        return steps_between(read(run, iteration, stage, trajectory_id)[1], first, count)

    @router.get("/trajectories/{trajectory_id}/console")
    def show_console(run: str, iteration: str, stage: str, trajectory_id: str) -> ConsoleList:
        """Returns the messages of the pages' console, where they were recorded."""
        stage_dir, found = read(run, iteration, stage, trajectory_id)
        return details.console(found, runs, stage_dir)

    @router.get("/trajectories/{trajectory_id}/file.html", response_class=Response)
    def show_file(run: str, iteration: str, stage: str, trajectory_id: str) -> Response:
        """Returns one trajectory as one HTML file without scripts, to be sent around."""
        stage_dir = read(run, iteration, stage, trajectory_id)[0]
        found = TrajectoryStore(stage_dir).read(trajectory_id)
        return html_file(found, runs.verdicts(stage_dir).get(trajectory_id), runs, stage_dir)

    @router.get("/trajectories/{trajectory_id}/steps/{index}/tokens")
    def show_tokens(run: str, iteration: str, stage: str, trajectory_id: str, index: int) -> list[TokenView]:
        """Returns the sampled tokens of a step with their log-probabilities."""
        return details.tokens(read(run, iteration, stage, trajectory_id)[1], index, runs.run(run))

    @router.get("/trajectories/{trajectory_id}/requests")
    def show_requests(run: str, iteration: str, stage: str, trajectory_id: str) -> RequestList:
        """Returns the requests of the pages, where they were recorded."""
        stage_dir, found = read(run, iteration, stage, trajectory_id)
        return details.requests(found, runs, stage_dir)

    @router.get("/trajectories/{trajectory_id}/recorded/{name}", response_class=FileResponse)
    def show_recorded(run: str, iteration: str, stage: str, trajectory_id: str, name: str) -> FileResponse:
        """Returns a recording; supports ranges, for seeking in a film."""
        path = runs.recorded(runs.stage(run, iteration, stage), trajectory_id, name)
        if kind_of(name) == "video":
            return FileResponse(path, media_type="video/webm")
        media_type = "application/zip" if kind_of(name) == "trace" else "application/x-ndjson"
        return FileResponse(path, media_type=media_type, filename=f"{trajectory_id}.{name}")

    @router.get("/images/{sha256}", response_class=Response)
    def show_image(run: str, iteration: str, stage: str, sha256: str) -> Response:
        """Returns a picture by its content hash."""
        return picture(runs.image(runs.stage(run, iteration, stage), sha256), sha256)

    return router


def html_file(found: Trajectory, verdict: Verdict | None, runs: RunsDir, folder: Path) -> Response:
    """Answers a trajectory of a folder as one HTML file. It is downloaded and never opened as a page of this server."""
    content = trajectory_file(found, verdict, lambda sha256: runs.image(folder, sha256))
    headers = {"content-disposition": f'attachment; filename="{found.id}.html"', "cache-control": "no-store"}
    return Response(content, media_type="text/html; charset=utf-8", headers=headers)


def picture(data: bytes, sha256: str) -> Response:
    """Answers a picture, with the media type of its first bytes. Raises `Damaged` for anything else, such as SVG."""
    if (media_type := media_type_of(data)) is None:
        raise Damaged(f"the stored picture {sha256} is neither PNG nor JPEG nor WebP")
    return Response(data, media_type=media_type, headers={"cache-control": FOREVER})
