"""The FastAPI application of a process with browsers: an instance behind a node, or the whole service in one process."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware

from browser_service import metrics
from browser_service.api import front as front_api
from browser_service.api import kept as kept_api
from browser_service.api import live
from browser_service.api import omniboxes as compat
from browser_service.api import ops as ops_api
from browser_service.api import session as session_api
from browser_service.api import tier as tier_api
from browser_service.api.gate import Gate, refusal
from browser_service.errors import BadRequest, BrowserServiceError, Unreachable
from browser_service.events import Events
from browser_service.models import Problem
from browser_service.settings import Settings
from browser_service.tiers.places import tier_client
from browser_service.tiers.relay import Upstream
from browser_service.tiers.reporter import Reporter
from browser_service.tiers.service import Service, key_of, running_service, running_sessions

ON_A_LEASE: tuple[APIRouter, ...] = (session_api.router, compat.router, kept_api.router, live.router)
"""Routes on one live lease. A front has them too, and passes their calls on to the lease's instance."""
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "The caller's mistake, or a lease that is over"},
    "5XX": {"model": Problem, "description": "No capacity, a session that is lost, a deadline that has passed"},
}


def create_app(settings: Settings, service: Service | None = None) -> FastAPI:
    """The application on a running service. Without one it runs a whole one, which launches Chromium at start-up."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with nullcontext(service) if service else running_service(settings) as app.state.service:
            yield

    app = bare_app(settings, lifespan)
    for router in ON_A_LEASE:
        app.include_router(router)
    if service is None or service.given:
        app.include_router(front_api.router)
    else:
        app.include_router(tier_api.instance_router)
    return app


def bare_app(settings: Settings, lifespan: Any, *inner: Middleware) -> FastAPI:
    """What the applications of all tiers have: the gate, the routes of operation, the form of errors."""
    gate = Middleware(Gate, settings=settings)
    app = FastAPI(
        title="browser-service", version="0.1.0", lifespan=lifespan, responses=PROBLEMS, middleware=[gate, *inner]
    )
    app.add_exception_handler(BrowserServiceError, _broken)
    app.add_exception_handler(RequestValidationError, _invalid)
    for router in (ops_api.router, metrics.router, live.events_router):
        app.include_router(router)
    return app


@asynccontextmanager
async def running_instance(settings: Settings) -> AsyncGenerator[Service, None]:
    """The browsers of one process behind a node, which is told what they hold. Raises `LaunchError`."""
    assert settings.node_url is not None
    events, key = Events(), key_of(settings)
    async with tier_client(key.value) as http, running_sessions(settings, key, events) as sessions:
        node = Upstream([settings.node_url], http)
        async with Reporter(lambda: [sessions.report()], node.send, settings.report_interval_s) as reporter:
            sessions.on_change = reporter.hurry
            yield Service(settings, events, key, held=sessions)
            sessions.on_change = lambda: None
        with suppress(Unreachable):
            await node.send([sessions.report().model_copy(update={"healthy": False, "live": [], "ttl_s": 0})])


async def _broken(request: Request, error: Any) -> Response:
    """A `BrowserServiceError` as the answer to a request."""
    headers = {"retry-after": str(max(1, round(error.retry_after_s)))} if error.retry_after_s else None
    body, media_type = refusal(error, request.url.path)
    return Response(body, error.status, headers, media_type=media_type.decode())


async def _invalid(request: Request, error: Any) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    return await _broken(request, BadRequest(f"{where or 'the request'}: {first['msg']}"))
