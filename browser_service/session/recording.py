"""A video (WebM), a trace, a log of the requests and one of the console of a session, started and stopped with its lease."""

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
from browser_service.session.console_log import ConsoleLog
from browser_service.session.request_log import RequestLog

log = logging.getLogger(__name__)
STOP_DEADLINE_S = 10.0


class Recorder:
    """The recordings of one session: a video of each tab, one trace, one log of requests and one of the console of all."""

    def __init__(self, context: BrowserContext, wanted: Recording, viewport: Viewport, kept: LeaseArtifacts) -> None:
        self._context = context
        self._wanted = wanted
        self._size: Any = {"width": viewport.width, "height": viewport.height}
        self._artifacts = kept
        self._films: dict[Page, Path] = {}
        self._requests = RequestLog(context) if wanted.network else None
        self._console = ConsoleLog(context) if wanted.console else None
        self._background = Background(PlaywrightError)

    async def start(self) -> None:
        """Starts with the open tabs; tabs that open later are recorded too."""
        for one in self._logs():
            one.start()
        if self._wanted.trace:
            await self._context.tracing.start(screenshots=True, snapshots=True)
        if self._wanted.video:
            self._context.on("page", self._follow)
            for page in self._context.pages:
                await self._film(page)

    def step_begins(self) -> None:
        """Counts a step, to which the requests and messages from now on belong."""
        for one in self._logs():
            one.steps += 1

    async def stop(self) -> None:
        """Ends every recording and lists all of them at once, so that a client that finds one knows that all are there.

        Only a recording that can't be finished in time is lost.
        """
        for one in self._logs():
            one.stop()
        if self._wanted.video:
            self._context.remove_listener("page", self._follow)
        await self._background.cancel()
        await asyncio.gather(*(_in_time(page.screencast.stop()) for page in self._films if not page.is_closed()))
        trace = self._artifacts.new_file() if self._wanted.trace else None
        if trace:
            await _in_time(self._context.tracing.stop(path=trace))
        requests = await self._written(self._requests) if self._requests else None
        console = await self._written(self._console) if self._console else None
        for number, file in enumerate(self._films.values(), start=1):
            self._offer(file, "video", f"video-{number}.webm")
        if trace:
            self._offer(trace, "trace", "trace.zip")
        if requests:
            self._offer(requests, "network", "network.jsonl")
        if console:
            self._offer(console, "console", "console.jsonl")

    def _logs(self) -> list[RequestLog | ConsoleLog]:
        return [one for one in (self._requests, self._console) if one is not None]

    async def _written(self, one: RequestLog | ConsoleLog) -> Path | None:
        file = self._artifacts.new_file()
        try:
            await asyncio.to_thread(one.write, file)
        except OSError as error:
            log.warning("a log of a session could not be written: %s", error)
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
