"""The web application: JSON routes over one directory of run folders, and the static pages that show them.

It is read-only. Every error is answered as `{"problem": "one sentence"}`.
"""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from dashboard.api.runs import runs_router
from dashboard.api.trajectories import trajectories_router
from dashboard.gate import Gate
from dashboard.store import Damaged, NotFound, RunsDir
from storage.store import CorruptTrajectory

STATIC = Path(__file__).parent / "static"


def create_app(runs_dir: Path) -> FastAPI:
    """Creates the application over a directory of run folders. New runs are shown without a restart."""
    # The interactive API pages load external scripts, which the content policy forbids.
    app = FastAPI(title="rl-loop dashboard", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    runs = RunsDir(runs_dir)
    app.include_router(runs_router(runs))
    app.include_router(trajectories_router(runs))
    app.mount("/static", StaticFiles(directory=STATIC))

    @app.get("/", include_in_schema=False)
    def index() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.exception_handler(NotFound)
    async def not_found(_: Request, error: NotFound) -> JSONResponse:
        return problem(404, str(error))

    @app.exception_handler(FileNotFoundError)
    async def vanished(_: Request, error: FileNotFoundError) -> JSONResponse:
        return problem(404, "this was deleted while it was being read")

    @app.exception_handler(CorruptTrajectory)
    @app.exception_handler(Damaged)
    async def damaged(_: Request, error: ValueError) -> JSONResponse:
        return problem(500, str(error).replace(f"{runs.root}/", ""))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return problem(422, f"{first['loc'][-1]}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return problem(
            error.status_code, "there is nothing at this address" if error.status_code == 404 else error.detail
        )

    app.add_middleware(Gate)
    return app


def problem(status: int, sentence: str) -> JSONResponse:
    """Answers an error with one sentence."""
    return JSONResponse({"problem": sentence}, status)
