"""The web application: JSON routes over the run folders and the database, and the pages that show them.

Every error is answered as `{"code": "...", "problem": "one sentence"}`.
"""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from dashboard.access.access import Access
from dashboard.access.passwords import BadPassword
from dashboard.access.people import NoUser, PeopleProblem
from dashboard.api.compare import compare_router
from dashboard.api.evidence import evidence_router
from dashboard.api.export import export_router
from dashboard.api.login import anyone_router, login_router
from dashboard.api.operation import operation_router
from dashboard.api.problems import Problem
from dashboard.api.resources import resources_router
from dashboard.api.rollout_actions import actions_router
from dashboard.api.rollouts import rollouts_router
from dashboard.api.runs import runs_router
from dashboard.api.saved import saved_router
from dashboard.api.service import Service
from dashboard.api.tasks import tasks_router
from dashboard.api.trajectories import trajectories_router
from dashboard.api.users import users_router
from dashboard.request_check import Gate
from dashboard.store import Damaged, NotFound, RunsDir
from storage.store import CorruptTrajectory

STATIC = Path(__file__).parent / "static"
PAGES = STATIC / "app"
"""Built from `dashboard/web` and committed, so that users need no Node."""
ROUTERS = (
    tasks_router,
    rollouts_router,
    actions_router,
    evidence_router,
    compare_router,
    operation_router,
    export_router,
    resources_router,
    saved_router,
)
"""Routes that need the database."""
CODES = {404: "not_found", 405: "method_not_allowed"}


def create_app(runs_dir: Path, service: Service | None = None) -> FastAPI:
    """Creates the application over a directory of run folders. New runs are shown without a restart.

    Without `service` it is the viewer of runs alone, which needs no database.
    """
    # FastAPI's own page loads scripts from elsewhere, which the content policy forbids: /docs is a page of this app.
    app = FastAPI(title="rl-loop dashboard", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    runs = service.runs if service else RunsDir(runs_dir)
    app.include_router(runs_router(runs, service.settings.prefect_ui if service else ""))
    app.include_router(trajectories_router(runs))
    access = Access({})
    if service is not None:
        access = Access(service.settings.tokens, service.database, always=service.settings.always_login)
        app.include_router(login_router(access, service))
        app.include_router(users_router(access, service))
        for router in ROUTERS:
            app.include_router(router(service))
    else:
        app.include_router(anyone_router())
    app.mount("/static", GZipMiddleware(StaticFiles(directory=STATIC)))  # scripts and styles: a third of their size

    @app.get("/", include_in_schema=False)
    def index() -> FileResponse:
        return FileResponse(PAGES / "index.html")

    @app.get("/docs", include_in_schema=False)
    def docs() -> FileResponse:
        return FileResponse(PAGES / "docs.html")

    _answer_errors(app, [runs.root, *([service.settings.data.absolute()] if service else [])])
    app.add_middleware(Gate, access=access)
    return app


def _answer_errors(app: FastAPI, roots: list[Path]) -> None:
    """Handlers of all expected errors. Paths of this machine are left out of their sentences."""

    @app.exception_handler(Problem)
    async def expected(_: Request, error: Problem) -> JSONResponse:
        return problem(error.status, error.code, error.sentence)

    @app.exception_handler(NotFound)
    async def not_found(_: Request, error: NotFound) -> JSONResponse:
        return problem(404, "not_found", str(error))

    @app.exception_handler(PeopleProblem)
    @app.exception_handler(BadPassword)
    async def people_problem(_: Request, error: ValueError) -> JSONResponse:
        status, code = (404, "user_not_found") if isinstance(error, NoUser) else (409, "users_not_changed")
        return problem(status, code, str(error))

    @app.exception_handler(FileNotFoundError)
    async def vanished(_: Request, error: FileNotFoundError) -> JSONResponse:
        return problem(404, "not_found", "this was deleted while it was being read")

    @app.exception_handler(CorruptTrajectory)
    @app.exception_handler(Damaged)
    async def damaged(_: Request, error: ValueError) -> JSONResponse:
        sentence = str(error)
        for root in roots:
            sentence = sentence.replace(f"{root}/", "")
        return problem(500, "damaged", sentence)

    @app.exception_handler(OperationalError)
    async def busy(_: Request, error: OperationalError) -> JSONResponse:
        return problem(503, "database_busy", "the database does not answer; try again, or see /health")

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return problem(422, "invalid_request", f"{first['loc'][-1]}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        sentence = "there is nothing at this address" if error.status_code == 404 else error.detail
        return problem(error.status_code, CODES.get(error.status_code, "refused"), sentence)


def problem(status: int, code: str, sentence: str) -> JSONResponse:
    """Answers an error with one sentence."""
    return JSONResponse({"code": code, "problem": sentence}, status)
