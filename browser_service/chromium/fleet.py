"""The Chromium processes of one service: shared ones, and those of one session each.

    host("context") -> a shared one that has room (`sessions_per_chromium`); a retired one drains while others take new
                       leases
    host("browser") -> one of its own, reused for a few leases, each in a fresh context

All run under one driver. A browser or driver that dies is replaced; only its own sessions are lost.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from playwright.async_api import Error as PlaywrightError

from browser_service.background import Background, every
from browser_service.chromium import orphans
from browser_service.chromium.chromium import Chromium
from browser_service.chromium.driver import Driver
from browser_service.chromium.launcher import Launcher, LaunchError, find_executable
from browser_service.chromium.memory import Usage, families, proportional_bytes, renderers, resident_bytes, usage_of
from browser_service.chromium.recycling import MB, is_beyond_hard_mark, why_replace
from browser_service.egress.egress import Egress
from browser_service.errors import BrowserCrashed
from browser_service.events import Events
from browser_service.models import Isolation
from browser_service.settings import Settings

log = logging.getLogger(__name__)

GLANCE_S = 0.25
GLANCES_PER_LISTING = 4
GLANCES_PER_MEASUREMENT = 20
PING_DEADLINE_S = 5.0
LONGEST_PAUSE_S = 10.0
EMPTY_S = 30.0
"""Seconds that one shared Chromium without sessions waits for the next: around a full one leases come and go, and without
the wait nearly each of them would launch a Chromium."""


class Fleet:
    """Every Chromium of this process. Use as `async with Fleet(settings, workdir, events) as fleet`."""

    def __init__(self, settings: Settings, workdir: Path, events: Events) -> None:
        """`workdir`: folder for profiles and temporary files."""
        self.on_lost: Callable[[], None] = lambda: None
        """Called each time that a browser has died: the sessions of dead browsers are lost."""
        self.on_retired: Callable[[Chromium], None] = lambda chromium: None
        """Called when a Chromium takes no more leases: its idle contexts have to be closed."""
        self.version = ""
        """Name and version of the browser."""
        self.events = events
        self.egress = Egress(settings) if settings.egress else None
        """The proxy of all browsers; None gives pages the network of this machine."""
        self._settings = settings
        self.workdir = workdir
        self._driver: Driver | None = None
        self._launcher: Launcher | None = None
        self._launched = 0
        self._shared: list[Chromium] = []
        """Shared ones that take sessions; the oldest first."""
        self._all: set[Chromium] = set()
        self._own_idle: list[Chromium] = []
        self._empty_since: dict[Chromium, float] = {}
        """Shared ones without sessions that others could do without, and the event loop's time at which they became so."""
        self._renderers: dict[int, Chromium] = {}
        self._glances = 0
        self._lock = asyncio.Lock()
        self._closing = False
        self._background = Background(LaunchError, PlaywrightError)

    async def __aenter__(self) -> "Fleet":
        orphans.adopt()
        try:
            if self.egress:
                await self.egress.start()
            if self._settings.isolation == "context":
                await self._ensure_shared()
            else:
                self._own_idle.append(await self._launch(is_shared=False))
        except BaseException:
            await self.__aexit__()
            raise
        self._background.start(every(GLANCE_S, self._glance))
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._closing = True
        await self._background.cancel()
        await asyncio.gather(*(chromium.close() for chromium in list(self._all)))
        if self.egress:
            await self.egress.stop()
        if self._driver:
            await self._driver.stop(self._settings.close_deadline_s)
        orphans.bury()

    @property
    def is_alive(self) -> bool:
        """True if new sessions can be opened at once."""
        if self._driver is None or not self._driver.is_alive:
            return False
        return self._settings.isolation == "browser" or any(chromium.is_alive for chromium in self._shared)

    @property
    def browsers(self) -> list[Chromium]:
        """All running ones, draining ones included."""
        return list(self._all)

    async def usage(self) -> Usage:
        """The total resource use of all browsers, measured now. Takes some milliseconds per process."""
        return await asyncio.to_thread(usage_of, [chromium.process.pid for chromium in self._all])

    async def host(self, isolation: Isolation) -> Chromium:
        """A Chromium for one more context: a shared one with room, or an unshared one. Raises `BrowserCrashed`."""
        try:
            if isolation == "context":
                return await self._ensure_shared()
            while self._own_idle:
                if (idle := self._own_idle.pop()).takes_leases:
                    return idle
            return await self._launch(is_shared=False)
        except LaunchError as error:
            raise BrowserCrashed(f"no browser could be started: {error}", retry_after_s=1.0) from error

    def check(self) -> None:
        """Detects a dead driver, which Playwright, unlike a dead browser, does not report. Call it periodically."""
        if self._driver and not self._driver.is_alive and not self._closing:
            for chromium in list(self._all):
                self._changed(chromium)

    def retire(self, chromium: Chromium, reason: str) -> None:
        """Stops new leases in it; it is closed as soon as its sessions have ended. They are not disturbed."""
        if chromium.retiring is None:
            chromium.retiring = reason
            log.info("a Chromium is replaced (%s) after %d leases", reason, chromium.leases)
            self.events.emit("recycled", reason=reason, shared=chromium.is_shared, leases=chromium.leases)
            self.on_retired(chromium)
            self._replace_shared(chromium)
        if not chromium.contexts:
            self._dismiss(chromium)

    async def _ensure_shared(self) -> Chromium:
        """The fullest shared Chromium that has room, so that the others can end; a new one if none has."""
        async with self._lock:
            self._shared = [chromium for chromium in self._shared if chromium.takes_leases]
            most = self._settings.most_per_chromium
            if open_ones := [chromium for chromium in self._shared if chromium.load < most]:
                return max(open_ones, key=lambda chromium: chromium.load)
            chromium = await self._launch(is_shared=True)
            self._shared.append(chromium)
            return chromium

    def _replace_shared(self, chromium: Chromium) -> None:
        """Removes a Chromium from the shared ones; if it was the last, a new one is started at once."""
        if chromium in self._shared:
            self._shared.remove(chromium)
            if not self._shared:
                self._background.start(self._relaunch())

    async def _launch(self, *, is_shared: bool) -> Chromium:
        driver = await self._ensure_driver()
        if self._launcher is None:
            executable = find_executable(self._settings, driver.playwright.chromium.executable_path)
            self._launcher = Launcher(executable, self._settings)
        self._launched += 1
        home = self.workdir / f"h{self._launched}"
        chromium = await Chromium.launch(
            driver,
            self._launcher,
            home,
            self._settings,
            is_shared=is_shared,
            on_change=self._changed,
            egress=self.egress,
        )
        self._all.add(chromium)
        self.version = chromium.version
        if not chromium.is_alive:
            self._changed(chromium)
            raise LaunchError(f"{self._launcher.executable} ended as soon as it was started")
        return chromium

    async def _ensure_driver(self) -> Driver:
        if self._driver is None or not self._driver.is_alive:
            if self._driver:
                await self._driver.stop(self._settings.close_deadline_s)
            self._launched += 1
            folder = self.workdir / f"d{self._launched}"
            self._driver = await Driver.start(folder, self._settings.launch_deadline_s)
        return self._driver

    def _changed(self, chromium: Chromium) -> None:
        """Decides about a Chromium in which a context has ended, or which has ended itself."""
        if self._closing or chromium not in self._all:
            return
        if not chromium.is_alive:
            self._lost(chromium)
        elif chromium.retiring or (reason := why_replace(chromium, self._settings)) is None:
            if chromium.load:
                return
            if chromium.retiring or (not chromium.is_shared and self._own_idle):
                self._dismiss(chromium)
            elif self._is_spare(chromium):
                self._empty_since.setdefault(chromium, asyncio.get_running_loop().time())
                self._dismiss_empty()
            elif not chromium.is_shared:
                self._own_idle.append(chromium)
        else:
            self.retire(chromium, reason)

    def _is_spare(self, chromium: Chromium) -> bool:
        """True if a shared Chromium without sessions can end because others have room for new ones."""
        return chromium.is_shared and len(self._shared) > 1

    def _dismiss_empty(self) -> None:
        """Ends shared ones without sessions: all but the newest at once, that one after `EMPTY_S` seconds."""
        since = {one: at for one, at in self._empty_since.items() if one in self._all and not one.load}
        self._empty_since = dict(sorted(since.items(), key=lambda item: item[1]))
        until = asyncio.get_running_loop().time() - EMPTY_S
        for number, (chromium, at) in enumerate(list(self._empty_since.items()), start=1):
            if (number < len(self._empty_since) or at <= until) and self._is_spare(chromium):
                self._dismiss(chromium)

    def _lost(self, chromium: Chromium) -> None:
        self._all.discard(chromium)
        part = "browser" if chromium.driver.is_alive else "driver"
        why = chromium.why_lost()
        log.error("%s (%d sessions)", why.detail, len(chromium.contexts))
        self.events.emit("crash", part=part, shared=chromium.is_shared, sessions=len(chromium.contexts))
        self.on_lost()
        self._background.start(chromium.close())
        self._replace_shared(chromium)

    def _dismiss(self, chromium: Chromium) -> None:
        self._all.discard(chromium)
        self._replace_shared(chromium)
        self._background.start(chromium.close())

    async def _relaunch(self) -> None:
        pause_s = 0.1
        while not self._closing:
            try:
                await self._ensure_shared()
                return
            except (LaunchError, PlaywrightError) as error:
                log.error("Chromium can't be launched again: %s", error)
            except Exception:  # without it no lease would ever begin here again
                log.exception("Chromium can't be launched again")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _glance(self) -> None:
        """Checks renderer memory several times a second; processes, health and proportional memory less often."""
        self._glances += 1
        if self._glances % GLANCES_PER_LISTING == 0:
            self._dismiss_empty()
            await self._list_renderers()
        self._stop_hogs()
        if self._glances % GLANCES_PER_MEASUREMENT == 0:
            orphans.bury()
            await self._measure()
            await asyncio.gather(*(chromium.ping(PING_DEADLINE_S) for chromium in self.browsers))

    async def _list_renderers(self) -> None:
        by_pid = {chromium.process.pid: chromium for chromium in self._all}
        found = await asyncio.to_thread(families, by_pid)
        self._renderers = {pid: by_pid[root] for root, family in found.items() for pid in renderers(family)}

    def _stop_hogs(self) -> None:
        limit = self._settings.renderer_memory_mb * MB
        for pid in [pid for pid in self._renderers if resident_bytes(pid) > limit]:
            chromium = self._renderers.pop(pid)
            log.warning("renderer %d used more than %d MB and is killed", pid, self._settings.renderer_memory_mb)
            self.events.emit("crash", part="renderer", why="memory")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            chromium.faults += 0 if chromium.is_shared else 1

    async def _measure(self) -> None:
        chromiums = {chromium.process.pid: chromium for chromium in self._all}
        used = await asyncio.to_thread(_proportional, list(chromiums))
        for pid, chromium in chromiums.items():
            chromium.pss_bytes = used[pid]
            if chromium in self._all and is_beyond_hard_mark(chromium, self._settings):
                self.events.emit("recycled", reason="memory_hard", shared=chromium.is_shared, leases=chromium.leases)
                chromium.kill(f"Chromium used {chromium.pss_bytes // MB} MB and was killed")


def _proportional(pids: list[int]) -> dict[int, int]:
    return {root: proportional_bytes(family) for root, family in families(pids).items()}
