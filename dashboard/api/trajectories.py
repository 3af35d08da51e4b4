"""Routes about trajectories: the list of a stage, one replay, its pictures, its recordings."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response

from agent.types import StopReason
from dashboard.store import Damaged, RunsDir
from dashboard.trajectories import Filter, list_trajectories, replay
from dashboard.views import Outcome, Replay, TrajectoryList
from storage.recorded import kind_of

MAGIC = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
"""Media types by the first bytes of a picture."""
FOREVER = "private, max-age=31536000, immutable"
"""A picture is named by its content, so the browser never needs to ask again."""


def trajectories_router(runs: RunsDir) -> APIRouter:
    """Routes below one stage of one iteration of a run."""
    router = APIRouter(prefix="/api/runs/{run}/iterations/{iteration}/{stage}", tags=["trajectories"])

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
    def show_replay(run: str, iteration: str, stage: str, trajectory_id: str) -> Replay:
        """Returns one trajectory, step by step, with its verdict."""
        return replay(runs, run, iteration, stage, trajectory_id)

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


def picture(data: bytes, sha256: str) -> Response:
    """Answers a picture, with the media type of its first bytes. Raises `Damaged` for anything else, such as SVG."""
    media_type = next((kind for magic, kind in MAGIC.items() if data.startswith(magic)), None)
    if media_type is None:
        raise Damaged(f"the stored picture {sha256} is neither PNG nor JPEG nor WebP")
    return Response(data, media_type=media_type, headers={"cache-control": FOREVER})
