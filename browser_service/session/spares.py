"""The warm pool: browsers without a lease, opened in advance, waiting for reuse, or being closed.

prepare -> fresh: opened before its lease
released -> reusable: cleaned, kept for a lease with the same reuse key and profile
         -> otherwise: closed, while the next fresh one is opened
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from browser_service.background import Background
from browser_service.chromium.chromium import Chromium
from browser_service.chromium.fleet import Fleet
from browser_service.chromium.profiles import Profile
from browser_service.errors import BrowserCrashed, BrowserServiceError
from browser_service.models import LeaseRequest
from browser_service.session.browser import LeasedBrowser
from browser_service.settings import Settings

log = logging.getLogger(__name__)

# Contexts that are opened or closed at the same time; more would slow down the active ones.
OPENING_AT_ONCE = 2
CLOSING_AT_ONCE = 4
# A reused context is closed after this many leases: only then does Playwright free its memory of the context.
LONGEST_USE = 50
# Seconds that a lease waits for a browser that is being cleaned: usually tens of milliseconds, and on a loaded machine
# still less than a fresh one takes.
LONGEST_CLEANING_S = 1.0


@dataclass(frozen=True, eq=False)
class _Coming:
    """A browser that is being opened or cleaned."""

    profile: Profile
    reuse: str | None
    task: "asyncio.Task[LeasedBrowser]"

    def is_in(self, chromium: Chromium) -> bool:
        done = self.task.done() and not self.task.cancelled() and self.task.exception() is None
        return done and self.task.result().chromium is chromium

    @property
    def has_failed(self) -> bool:
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)


class Spares:
    """Source of the leases' browsers, and destination of returned ones."""

    def __init__(self, settings: Settings, fleet: Fleet) -> None:
        self._settings = settings
        self._fleet = fleet
        self._fresh: list[_Coming] = []
        """Oldest first; profiles that are no longer requested make room for others."""
        self._used: list[_Coming] = []
        """Oldest first."""
        self._leased = 0
        self._opening = asyncio.Semaphore(OPENING_AT_ONCE)
        self._closing = asyncio.Semaphore(CLOSING_AT_ONCE)
        self._background = Background(BrowserServiceError)
        fleet.on_retired = self._drop_idle

    async def take(self, request: LeaseRequest, *, leased: int) -> LeasedBrowser:
        """A cleaned browser with the same reuse key, else a fresh one, else a new one.

        Raises `BrowserCrashed`, `BadRequest`. `leased`: number in use, this one included; the pool keeps no more
        browsers open than there are slots.
        """
        self._leased = leased
        policy = self._fleet.egress.policy(request) if self._fleet.egress else None
        profile = Profile.of(request, self._settings)
        began, source = time.monotonic(), "reused"
        browser = await self._used_before(profile, request.reuse)
        if browser is None:
            source = "ahead"
            browser = await self._opened_ahead(profile)
            if browser is None:
                source = "opened"
                browser = await self._open(profile)
            self.prepare(profile)
        browser.chromium.leases += 1
        browser.may_reach(policy)
        self._fleet.events.emit("session_opened", source=source, seconds=round(time.monotonic() - began, 4))
        return browser

    def give_back(self, browser: LeasedBrowser, reuse: str | None) -> None:
        """Takes the browser of an ended lease. `reuse`: its reuse key; None if a last call still uses the browser."""
        self._leased = max(0, self._leased - 1)
        browser.may_reach(None)
        is_sound = browser.is_alive and browser.chromium.takes_leases
        if reuse and is_sound and browser.uses < LONGEST_USE:
            cleaning = self._background.start(_clean(browser))
            self._used.append(_Coming(browser.profile, reuse, cleaning))
            return
        if browser.profile.isolation == "context":
            self.prepare(browser.profile)
        # An unshared Chromium is used again, once its current context has ended.
        self._background.start(self._close(browser, browser.profile))

    def prepare(self, profile: Profile | None = None) -> None:
        """Opens browsers before their leases: a quarter of a second each, which the leases then need not wait."""
        profile = profile or Profile.of(LeaseRequest(viewport=self._settings.viewport), self._settings)
        self._fresh = [coming for coming in self._fresh if not coming.has_failed]
        self._used = [coming for coming in self._used if not coming.has_failed]
        wanted = self._wanted(profile)
        while (have := sum(coming.profile == profile for coming in self._fresh)) < wanted:
            others = [coming for coming in self._fresh if coming.profile != profile]
            if others and have + len(others) >= wanted:
                self._fresh.remove(others[0])
                self._discard(others[0])
            opening = self._background.start(self._open_ahead(profile))
            self._fresh.append(_Coming(profile, None, opening))

    def forget_dead(self) -> None:
        """Drops and replaces pooled browsers whose Chromium has died."""
        profiles = {coming.profile for coming in self._fresh}
        self._fresh = [coming for coming in self._fresh if not _has_died(coming)]
        self._used = [coming for coming in self._used if not _has_died(coming)]
        for profile in profiles:
            self.prepare(profile)

    async def stop(self) -> None:
        """Ends all background work; the contexts end with Chromium."""
        await self._background.cancel()

    def _wanted(self, profile: Profile) -> int:
        """Number of fresh ones to keep: as many as free slots can take, but only one unshared Chromium."""
        if self._settings.warm == 0:
            return 0
        free = self._settings.slots - self._leased - len(self._used)
        return 1 if profile.isolation == "browser" else max(1, min(self._settings.warm, free))

    async def _used_before(self, profile: Profile, reuse: str | None) -> LeasedBrowser | None:
        until = time.monotonic() + LONGEST_CLEANING_S
        while fitting := [used for used in self._used if reuse and (used.reuse, used.profile) == (reuse, profile)]:
            if cleaned := next((used for used in fitting if used.task.done()), None):
                self._used.remove(cleaned)
                if browser := await self._sound(cleaned):
                    return browser
            elif (left_s := until - time.monotonic()) > 0:
                tasks = [used.task for used in fitting]
                await asyncio.wait(tasks, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            else:
                break
        if self._used and self._leased + len(self._used) > self._settings.slots:
            self._discard(self._used.pop(0))
        return None

    async def _opened_ahead(self, profile: Profile) -> LeasedBrowser | None:
        for fresh in [fresh for fresh in self._fresh if fresh.profile == profile]:
            self._fresh.remove(fresh)
            if browser := await self._sound(fresh):
                return browser
        return None

    async def _open_ahead(self, profile: Profile) -> LeasedBrowser:
        async with self._opening:
            while not (browser := await self._open(profile)).chromium.takes_leases:
                await self._close(browser)  # its Chromium was retired meanwhile, and waits for its last context to end
            return browser

    async def _open(self, profile: Profile) -> LeasedBrowser:
        chromium = await self._fleet.host(profile.isolation)
        return await LeasedBrowser.open(chromium, profile, self._settings)

    async def _sound(self, coming: _Coming) -> LeasedBrowser | None:
        """The browser once it is open, if it is healthy: its renderer is pinged, because its death is reported late."""
        try:
            browser = await asyncio.shield(coming.task)
        except Exception as error:  # the waiting lease takes another one, whatever the error
            log.warning("a spare browser broke before it was used: %s", error)
            return None
        if browser.is_alive and browser.chromium.takes_leases:
            try:
                await browser.ping()
                return browser
            except BrowserServiceError as error:
                log.warning("a spare browser was not in order: %s", error.detail)
        self._background.start(self._close(browser))
        return None

    def _drop_idle(self, chromium: Chromium) -> None:
        """Closes the idle browsers of a retired Chromium, so that it can end."""
        profiles = {coming.profile for coming in self._fresh if coming.is_in(chromium)}
        for idle in (self._fresh, self._used):
            for coming in [coming for coming in idle if coming.is_in(chromium)]:
                idle.remove(coming)
                self._discard(coming)
        for profile in profiles:
            self.prepare(profile)

    def _discard(self, coming: _Coming) -> None:
        async def discard() -> None:
            if browser := await self._sound(coming):
                await self._close(browser)

        self._background.start(discard())

    async def _close(self, browser: LeasedBrowser, successor: Profile | None = None) -> None:
        """Closes a browser, and opens a fresh one of this profile."""
        async with self._closing:
            await browser.close()
        if successor:
            self.prepare(successor)


def _has_died(coming: _Coming) -> bool:
    return coming.has_failed or (coming.task.done() and not coming.task.result().is_alive)


async def _clean(browser: LeasedBrowser) -> LeasedBrowser:
    try:
        await browser.clean()
    except Exception:
        await browser.close()
        raise
    if not browser.chromium.takes_leases:  # retired meanwhile
        await browser.close()
        raise BrowserCrashed("its Chromium is being replaced")
    return browser
