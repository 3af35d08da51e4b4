"""A video (WebM), a trace and a log of the requests of one session, started and stopped with its lease."""

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Page
from playwright.async_api import Error as PlaywrightError

from browser_service.artifacts.lease_artifacts import LeaseArtifacts
from browser_service.background import Background
from browser_service.models import ArtifactKind, Recording, Viewport
from browser_service.session.request_log import RequestLog

log = logging.getLogger(__name__)
STOP_DEADLINE_S = 10.0


class Recorder:
    """The recordings of one session: a video of each tab, one trace and one log of requests of all."""

    def __init__(self, context: BrowserContext, wanted: Recording, viewport: Viewport, kept: LeaseArtifacts) -> None:
        self._context = context
        self._wanted = wanted
        self._size: Any = {"width": viewport.width, "height": viewport.height}
        self._artifacts = kept
        self._films: dict[Page, Path] = {}
        self._requests = RequestLog(context) if wanted.network else None
        self._background = Background(PlaywrightError)

    async def start(self) -> None:
        """Starts with the open tabs; tabs that open later are recorded too."""
        if self._requests:
            self._requests.start()
        if self._wanted.trace:
            await self._context.tracing.start(screenshots=True, snapshots=True)
        if self._wanted.video:
            self._context.on("page", self._follow)
            for page in self._context.pages:
                await self._film(page)

    def step_begins(self) -> None:
        """Counts a step, to which the requests from now on belong."""
        if self._requests:
            self._requests.steps += 1

    async def stop(self) -> None:
        """Ends every recording and lists all of them at once, so that a client that finds one knows that all are there.

        Only a recording that can't be finished in time is lost.
        """
        if self._requests:
            self._requests.stop()
        if self._wanted.video:
            self._context.remove_listener("page", self._follow)
        await self._background.cancel()
        await asyncio.gather(*(_in_time(page.screencast.stop()) for page in self._films if not page.is_closed()))
        trace = self._artifacts.new_file() if self._wanted.trace else None
        if trace:
            await _in_time(self._context.tracing.stop(path=trace))
        log_file = await self._write_requests() if self._requests else None
        for number, file in enumerate(self._films.values(), start=1):
            self._offer(file, "video", f"video-{number}.webm")
        if trace:
            self._offer(trace, "trace", "trace.zip")
        if log_file:
            self._offer(log_file, "network", "network.jsonl")

    async def _write_requests(self) -> Path | None:
        assert self._requests is not None
        file = self._artifacts.new_file()
        try:
            await asyncio.to_thread(self._requests.write, file)
        except OSError as error:
            log.warning("the log of requests could not be written: %s", error)
            file.unlink(missing_ok=True)
            return None
        return file

    def _follow(self, page: Page) -> None:
        self._background.start(self._film(page))

    async def _film(self, page: Page) -> None:
        file = self._artifacts.new_file()
        self._films[page] = file
        await page.screencast.start(path=file, size=self._size)

    def _offer(self, file: Path, kind: ArtifactKind, name: str) -> None:
        if file.exists():
            self._artifacts.add(file, kind, name)
        else:
            log.warning("a recording was not finished: %s", name)


async def _in_time(stopping: Coroutine[Any, Any, Any]) -> None:
    try:
        async with asyncio.timeout(STOP_DEADLINE_S):
            await stopping
    except (PlaywrightError, TimeoutError) as error:
        log.warning("a recording could not be finished: %s", str(error).splitlines()[:1])
