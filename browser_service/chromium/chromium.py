"""One Chromium process with its contexts: launched, sandboxed and quiet; closed, or killed with all its processes.

    service ── driver (node) ── launcher (drops the uid, dies with the driver) ── Chromium ── zygotes ── renderers

`fleet.py` decides which Chromium gets the next context, and when one is retired.
"""

import asyncio
import logging
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from playwright.async_api import Browser, BrowserContext, CDPSession
from playwright.async_api import Error as PlaywrightError

from browser_service.chromium.clipboard import CLIPBOARD_SCRIPT, Clipboard
from browser_service.chromium.driver import Driver
from browser_service.chromium.launcher import (
    DOWNLOADS,
    Launcher,
    LaunchError,
    chromium_environment,
    flags,
    launch_reason,
)
from browser_service.chromium.profiles import Profile
from browser_service.chromium.recycling import Strikes
from browser_service.egress.egress import Account, Egress
from browser_service.errors import BrowserCrashed
from browser_service.page import LISTENERS, REFUSED
from browser_service.settings import Settings

DIED = "Chromium died and is being launched again; ask for a new lease"
KILL_DEADLINE_S = 5.0
log = logging.getLogger(__name__)


@dataclass(eq=False)
class Chromium:
    """A running Chromium. Many sessions may share it, or it belongs to one session."""

    browser: Browser
    driver: Driver
    process: psutil.Process
    home: Path
    """Its HOME and TMPDIR, removed when the process is gone."""
    settings: Settings
    is_shared: bool
    on_change: Callable[["Chromium"], None]
    """Called when a context or the browser has ended: the fleet then checks what to do with it."""
    egress: Egress | None = None
    leases: int = 0
    """Number of leases that have had a context in it."""
    contexts: set[BrowserContext] = field(default_factory=set)
    """Open contexts, and those that are being closed."""
    accounts: dict[BrowserContext, Account] = field(default_factory=dict)
    """The proxy account of each context."""
    clipboard: Clipboard = field(default_factory=Clipboard)
    strikes: Strikes = field(default_factory=Strikes)
    faults: int = 0
    """Number of renderers that died, and of contexts that could not be closed."""
    pss_bytes: int = 0
    """Proportional memory (PSS) of all its processes, at the last measurement."""
    retiring: str | None = None
    """The reason why it takes no new leases, while its live leases go on."""
    lost: BrowserCrashed | None = None
    """The reason why its sessions are lost, once it was killed or died."""
    _closing: bool = False
    _opening: int = 0
    """Number of contexts that are being opened."""

    @classmethod
    async def launch(
        cls,
        driver: Driver,
        launcher: Launcher,
        home: Path,
        settings: Settings,
        *,
        is_shared: bool,
        on_change: Callable[["Chromium"], None],
        egress: Egress | None,
    ) -> "Chromium":
        """Starts a Chromium that keeps its files in `home`, which must not exist. Raises `LaunchError`.

        `egress`: its only access to the network; None gives it the network of this machine.
        """
        try:
            program = launcher.prepare(home)
            async with asyncio.timeout(settings.launch_deadline_s):
                browser = await driver.playwright.chromium.launch(
                    executable_path=program,
                    args=flags(settings),
                    chromium_sandbox=not settings.allow_unsandboxed,
                    proxy=egress.nowhere if egress else None,
                    env=chromium_environment(home),
                    downloads_path=home / DOWNLOADS,
                    handle_sigint=False,
                    handle_sigterm=False,
                    handle_sighup=False,
                )
            process = psutil.Process(launcher.pid_of(home))
        except (PlaywrightError, OSError, psutil.Error) as error:  # TimeoutError is an OSError
            with suppress(LaunchError, psutil.Error):
                await asyncio.to_thread(remove_traces, psutil.Process(launcher.pid_of(home)), home)
            raise LaunchError(launch_reason(launcher.executable, settings, str(error))) from error
        chromium = cls(browser, driver, process, home, settings, is_shared, on_change, egress)
        browser.on("disconnected", chromium._disconnected)
        return chromium

    @property
    def version(self) -> str:
        """Name and version."""
        return f"Chromium {self.browser.version}"

    @property
    def is_alive(self) -> bool:
        """True if the browser is connected and its driver lives."""
        return self.lost is None and self.browser.is_connected() and self.driver.is_alive

    @property
    def load(self) -> int:
        """Number of sessions in it, opening ones included."""
        return len(self.contexts) + self._opening

    @property
    def takes_leases(self) -> bool:
        """True if a lease may begin in it."""
        return self.retiring is None and not self._closing and self.is_alive

    async def new_context(self, profile: Profile, **more: Any) -> BrowserContext:
        """A fresh context that registers its pages' listeners; `more`: further options of Playwright.

        Raises `BrowserCrashed` when Chromium does not answer.
        """
        self._opening += 1
        try:
            async with asyncio.timeout(self.settings.launch_deadline_s):
                if self.egress is None:
                    context = await self.browser.new_context(**profile.options(), **more)
                else:
                    context = await self._new_context_behind(self.egress, profile.options() | more)
                self.contexts.add(context)
                context.on("close", self._closed)
                # One script: each further one is another call for the context and one more for each of its pages.
                await context.add_init_script(f"{CLIPBOARD_SCRIPT}\n{LISTENERS}\n{REFUSED}")
        except TimeoutError as error:
            self.stuck("opening a context")
            raise BrowserCrashed("Chromium did not open a session in time; ask for a lease again") from error
        except PlaywrightError as error:
            raise BrowserCrashed("Chromium died while a session was opened; ask for a lease again") from error
        except OSError as error:
            raise BrowserCrashed(f"the session got no way out ({error}); ask for a lease again") from error
        finally:
            self._opening -= 1
        return context

    async def _new_context_behind(self, egress: Egress, options: dict[str, Any]) -> BrowserContext:
        """A context with a proxy port of its own."""
        account = await egress.open()
        try:
            context = await self.browser.new_context(**options, proxy=account.proxy)
        except BaseException:
            egress.close(account)
            raise
        self.accounts[context] = account
        return context

    async def close_context(self, context: BrowserContext) -> None:
        """Closes a context in any state; never raises, never takes longer than the deadline.

        Escalation: a context that does not close gets an unshared Chromium killed; for a shared one it is a strike.
        """
        try:
            async with asyncio.timeout(self.settings.close_deadline_s):
                await context.close()
        except TimeoutError:
            log.warning("a context did not close within %g s", self.settings.close_deadline_s)
            self.faults += 1
            if self.is_shared:
                self.stuck("closing a context")
            else:
                self.kill("a session's context could not be closed")
        except PlaywrightError as error:
            log.info("a context ended by itself: %s", str(error).splitlines()[:1])
        self._closed(context)

    async def ping(self, deadline_s: float) -> None:
        """Health check of the browser process itself; no answer counts as a strike."""
        session: CDPSession | None = None
        try:
            async with asyncio.timeout(deadline_s):
                session = await self.browser.new_browser_cdp_session()
                await session.send("Browser.getVersion")
                await session.detach()
        except TimeoutError:
            self.stuck("answering a ping")
        except PlaywrightError:
            return  # it is closing, and `disconnected` reports it

    def stuck(self, operation: str) -> None:
        """Records an operation that did not end in time. See `recycling.Strikes`."""
        self.strikes.add(operation)
        self.on_change(self)

    def kill(self, why: str) -> None:
        """Kills the browser with all its processes; `why` becomes the error of its sessions."""
        if self.lost is None:
            self.lost = BrowserCrashed(f"{why}; its sessions are lost, ask for a new lease")
        kill_family(self.process)

    def why_lost(self) -> BrowserCrashed:
        """The error for the holder of a session in it, once it is not alive."""
        return BrowserCrashed(self.lost.detail if self.lost else DIED)

    async def close(self) -> None:
        """Closes the browser, gracefully if possible, and leaves no process and no file."""
        self._closing = True
        if self.is_alive:
            await _within(self.settings.close_deadline_s, self.browser.close())
        for context in list(self.accounts):
            self._close_way_out(context)
        await asyncio.to_thread(remove_traces, self.process, self.home)

    def _closed(self, context: BrowserContext) -> None:
        self._close_way_out(context)
        if context in self.contexts:
            self.contexts.discard(context)
            self.on_change(self)

    def _close_way_out(self, context: BrowserContext) -> None:
        if self.egress and (account := self.accounts.pop(context, None)):
            self.egress.close(account)

    def _disconnected(self, _: Browser) -> None:
        if not self._closing:
            self.lost = self.lost or BrowserCrashed(DIED)
            self.on_change(self)


def kill_family(process: psutil.Process) -> list[psutil.Process]:
    """Kills a Chromium and every process that it started; returns them all."""
    family = [process]
    with suppress(psutil.Error):
        family += process.children(recursive=True)
    # Playwright starts each browser as the leader of a process group, which also contains its orphans.
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(process.pid) == process.pid and process.is_running():
            os.killpg(process.pid, signal.SIGKILL)
    for member in family:
        with suppress(psutil.Error):
            member.kill()
    return family


def remove_traces(process: psutil.Process, home: Path) -> None:
    """Waits for the end of every process of a Chromium and removes its folder. Blocks for some seconds at most."""
    psutil.wait_procs(kill_family(process), timeout=KILL_DEADLINE_S)
    shutil.rmtree(home, ignore_errors=True)
    for beside in home.parent.glob(f"{home.name}-*"):  # the launcher's files
        beside.unlink(missing_ok=True)


async def _within(deadline_s: float, closing: Awaitable[None]) -> None:
    with suppress(PlaywrightError, TimeoutError):  # a browser that does not close is killed
        async with asyncio.timeout(deadline_s):
            await closing
