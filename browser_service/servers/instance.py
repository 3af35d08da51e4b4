"""The FastAPI application of a process with browsers: an instance behind a node, or the whole service in one process."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from browser_service import metrics
from browser_service.api import artifact_routes, observer_streams
from browser_service.api import front as front_api
from browser_service.api import omniboxes as compat
from browser_service.api import ops as ops_api
from browser_service.api import session as session_api
from browser_service.api import tier as tier_api
from browser_service.api.request_check import Gate, refusal
from browser_service.errors import BadRequest, BrowserServiceError, Unreachable
from browser_service.events import Events
from browser_service.models import Problem
from browser_service.servers.relay import Upstream
from browser_service.settings import Settings
from browser_service.tiers.instances import tier_client
from browser_service.tiers.reporter import Reporter
from browser_service.tiers.service import Service, key_of, running_service, running_sessions
from telemetry.http_server import Observed

ON_A_LEASE: tuple[APIRouter, ...] = (session_api.router, compat.router, artifact_routes.router, observer_streams.router)
"""Routes on one live lease. A master or node has them too, and forwards their calls to the lease's instance."""
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "The caller's mistake, or a lease that is over"},
    "5XX": {"model": Problem, "description": "No capacity, a session that is lost, a deadline that has passed"},
}


def create_app(settings: Settings, service: Service | None = None) -> FastAPI:
    """The application on a running service. Without one it starts a complete service, which launches Chromium."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with nullcontext(service) if service else running_service(settings) as app.state.service:
            yield

    app = bare_app(settings, lifespan)
    for router in ON_A_LEASE:
        app.include_router(router)
    if service is None or service.own_admission:
        app.include_router(front_api.router)
    else:
        app.include_router(tier_api.instance_router)
    return app


def bare_app(settings: Settings, lifespan: Any, *inner: Middleware) -> FastAPI:
    """The common part of all tiers' applications: the gate, the operations routes, the form of errors."""
    gate = Middleware(Gate, settings=settings)
    app = FastAPI(
        title="browser-service",
        version="0.1.0",
        lifespan=lifespan,
        responses=PROBLEMS,
        middleware=[gate, Middleware(Observed), *inner],
    )
    app.add_exception_handler(BrowserServiceError, _broken)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _not_served)
    app.add_exception_handler(Exception, _unforeseen)
    for router in (ops_api.router, metrics.router, observer_streams.events_router):
        app.include_router(router)
    return app


@asynccontextmanager
async def running_instance(settings: Settings) -> AsyncGenerator[Service, None]:
    """The browsers of one process behind a node, and the reports to that node. Raises `LaunchError`."""
    assert settings.node_url is not None
    events, key = Events(), key_of(settings)
    async with tier_client(key.value) as http, running_sessions(settings, key, events) as sessions:
        node = Upstream([settings.node_url], http)
        async with Reporter(lambda: [sessions.report()], node.send, settings.report_interval_s) as reporter:
            sessions.on_change = reporter.hurry
            yield Service(settings, events, key, own_sessions=sessions)
            sessions.on_change = lambda: None
        with suppress(Unreachable):
            await node.send([sessions.report().model_copy(update={"healthy": False, "live": [], "ttl_s": 0})])


async def _broken(request: Request, error: Any) -> Response:
    """Turns a `BrowserServiceError` into the answer to a request."""
    headers = {"retry-after": str(max(1, round(error.retry_after_s)))} if error.retry_after_s else None
    return _answer(request, error.problem(), headers)


async def _invalid(request: Request, error: Any) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    return await _broken(request, BadRequest(f"{where or 'the request'}: {first['msg']}"))


async def _not_served(request: Request, error: Any) -> Response:
    """Answers the framework's own refusals: an unknown path or method, a body that it can't read."""
    status = HTTPStatus(error.status_code)
    said = f"{request.method} {request.url.path[:200]}: {error.detail}; /docs has what this process answers to"
    problem = Problem(
        title=status.phrase, status=status, detail=said, code=status.name, fault="client", retryable=False
    )
    return _answer(request, problem, error.headers)


async def _unforeseen(request: Request, error: Any) -> Response:
    """Answers an unexpected exception. The log has the traceback; the client gets only the type."""
    said = f"the service made a mistake with this call ({type(error).__name__}); its log says more"
    return await _broken(request, BrowserServiceError(said))


def _answer(request: Request, problem: Problem, headers: Mapping[str, str] | None) -> Response:
    body, media_type = refusal(problem, request.url.path)
    return Response(body, problem.status, headers, media_type=media_type.decode())
