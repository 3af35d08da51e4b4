"""Reports the leases of this process to the tier in front: periodically, and at once after a change."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from browser_service.errors import BrowserServiceError
from browser_service.leasing.leases import InstanceReport

log = logging.getLogger(__name__)


class Reporter:
    """Use as `async with Reporter(...) as reporter`, and call `reporter.hurry()` after a change."""

    def __init__(
        self,
        reports: Callable[[], list[InstanceReport]],
        send: Callable[[list[InstanceReport]], Awaitable[None]],
        interval_s: float,
    ) -> None:
        self._reports = reports
        self._send = send
        self._interval_s = interval_s
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    async def __aenter__(self) -> "Reporter":
        self._task = asyncio.get_running_loop().create_task(self._report_for_ever())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def hurry(self) -> None:
        """Reports in the next turn of the event loop. Several changes before that make one report."""
        self._changed.set()

    async def _report_for_ever(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._report()
            except Exception:  # an instance that stops reporting loses its leases
                log.exception("a report could not be made or sent; the next one is tried")
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _report(self) -> None:
        """Sends one report. Failures are logged once, not each time: the next report repeats the content."""
        reports = self._reports()
        if not reports:
            return
        try:
            await self._send(reports)
        except BrowserServiceError as error:
            if not self._failing:
                log.warning("a report did not get through, sessions go on: %s", error.detail)
            self._failing = True
        else:
            if self._failing:
                log.info("reports get through again")
            self._failing = False
