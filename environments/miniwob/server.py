"""The web application of the MiniWoB++ pages: one unguessable address per episode.

GET  /episode/<token>/miniwob/click-button.html   the task page, with the bootstrap script
GET  /episode/<token>/common/special/..           files that its own script loads
GET  /files/scripts.js?core/core.js&..            the libraries of a page with the bootstrap script, for all episodes
GET  /files/core/core.css ...                     other files that pages share
POST /episode/<token>/started, /ended             reports of the bootstrap script
"""

import logging
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from pydantic import ValidationError

from agent.types import Task
from environments.bounds import Bounds
from environments.miniwob.episode import Ended, Episode, Report, Started
from environments.miniwob.pages import BUNDLE, FILES, LIBRARIES, Page, bundle, task_page

log = logging.getLogger(__name__)
ReportT = TypeVar("ReportT", bound=Report)

MAX_REPORT_BYTES = 16_384
MOST_BUNDLES = 64
"""Bundles that are kept; the pages of the package use 23."""


class Episodes:
    """The live episodes by token, and the pages that they may load."""

    def __init__(self, pages: Mapping[str, Page], *, bounds: Bounds, goal_deadline_s: float) -> None:
        self._pages = pages
        self._bounds = bounds
        self._goal_deadline_s = goal_deadline_s
        self._by_token: dict[str, Episode] = {}
        self._bundles: dict[str, Page] = {}

    @contextmanager
    def add(self, task: Task, site_url: str) -> Generator[Episode]:
        """Adds an episode of the task at a fresh address below `site_url`; leaving the context removes it."""
        token = secrets.token_urlsafe(24)
        url = f"{site_url}/episode/{token}/miniwob/{task.domain}.html"
        reach = self._bounds.reach(task, sites=(urlsplit(url).netloc,), only_sites=True)
        self._by_token[token] = Episode(task, url, reach, goal_deadline_s=self._goal_deadline_s)
        try:
            yield self._by_token[token]
        finally:
            del self._by_token[token]

    def find(self, token: str) -> Episode:
        """Returns the live episode of a token. Raises a 404 otherwise."""
        if (episode := self._by_token.get(token)) is None:
            raise HTTPException(404, "There is no such episode, or it is over.")
        return episode

    def find_page(self, token: str, path: str) -> Page:
        """Returns a file for this episode; only its own task page is available. Raises a 404 otherwise."""
        task = self.find(token).task
        page = self._pages.get(path)
        if page is not None and not path.startswith("miniwob/"):
            return page
        if page is None or path != f"miniwob/{task.domain}.html":
            raise HTTPException(404, "This episode has no such page.")
        return Page(task_page(page.body, task.seed), page.media_type)

    def find_library(self, path: str) -> Page:
        """Returns a file that pages share. Raises a 404 for any other, the task pages included."""
        if not path.startswith(LIBRARIES) or (page := self._pages.get(path)) is None:
            raise HTTPException(404, "There is no such file.")
        return page

    def bundle(self, names: str) -> Page:
        """Returns the libraries with these names, joined by `&`, as one script. Raises a 404 for any other name."""
        if (page := self._bundles.get(names) or bundle(self._pages, names.split("&"))) is None:
            raise HTTPException(404, "There are no such scripts.")
        if len(self._bundles) < MOST_BUNDLES:
            self._bundles[names] = page
        return page


def build_app(episodes: Episodes, *, host: str) -> FastAPI:
    """Builds the routes. Requests with another Host header than the served one (DNS rebinding) are rejected."""
    app = FastAPI(title="MiniWoB++ pages", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[host, "localhost"], www_redirect=False)

    cached = {"Cache-Control": "private, max-age=3600"}

    @app.get("/episode/{token}/{path:path}")
    async def page(token: str, path: str) -> Response:
        found = episodes.find_page(token, path)
        return Response(found.body, media_type=found.media_type, headers=cached)

    @app.get(f"{FILES}/{BUNDLE}")
    async def scripts(request: Request) -> Response:
        found = episodes.bundle(request.url.query)
        return Response(found.body, media_type=found.media_type, headers=cached)

    @app.get(FILES + "/{path:path}")
    async def library(path: str) -> Response:
        found = episodes.find_library(path)
        return Response(found.body, media_type=found.media_type, headers=cached)

    @app.post("/episode/{token}/started", status_code=204)
    async def started(token: str, request: Request) -> None:
        episode = episodes.find(token)
        episode.start(await read_report(request, Started))

    @app.post("/episode/{token}/ended", status_code=204)
    async def ended(token: str, request: Request) -> None:
        episode = episodes.find(token)
        if not episode.end(await read_report(request, Ended)):
            raise HTTPException(409, "The episode has not started, or has ended before.")

    return app


async def read_report(request: Request, kind: type[ReportT]) -> ReportT:
    """Returns the validated body. Raises 413 for a long one, 422 for an invalid report."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_REPORT_BYTES:
            raise HTTPException(413, f"A report has at most {MAX_REPORT_BYTES} bytes.")
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        log.warning("refused a %s report: %s", kind.__name__, error.errors(include_url=False, include_input=False))
        raise HTTPException(422, f"The body is not a {kind.__name__} report.") from error
