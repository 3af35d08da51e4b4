"""One leased browser context: open, observe, perform, close. Every use of it has a deadline (`ladder.py`)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from playwright.async_api import BrowserContext, Page
from playwright.async_api import Error as PlaywrightError

from browser_service import commands
from browser_service.artifacts.lease_artifacts import LeaseArtifacts
from browser_service.chromium.chromium import Chromium
from browser_service.chromium.profiles import Profile
from browser_service.egress.policy import Policy
from browser_service.errors import (
    BrowserCrashed,
    BrowserServiceError,
    EgressFailed,
)
from browser_service.models import Action, ActionError, LeaseRequest, Observation, ObserveRequest, Traffic
from browser_service.session.ladder import Ladder
from browser_service.session.reasons import explain
from browser_service.session.recording import Recorder
from browser_service.session.signing_in import sign_in
from browser_service.settings import Settings
from browser_service.tabs.downloads import Downloads, Quota
from browser_service.tabs.looking import Phases, is_of_the_web, look, when_still
from browser_service.tabs.marks import Seen
from browser_service.tabs.prompts import Dialogs
from browser_service.tabs.settle import SettleLimits, settle
from browser_service.tabs.tab import OpenTab
from browser_service.tabs.tabs import Tabs
from browser_service.tabs.world import PageMoved

PING_DEADLINE_S = 1.0
T = TypeVar("T")


class LeasedBrowser:
    """One session: a context of its own with its tabs. Not safe for concurrent calls: its owner holds a lock."""

    def __init__(self, chromium: Chromium, context: BrowserContext, profile: Profile, settings: Settings) -> None:
        self.profile = profile
        self.chromium = chromium
        self.viewport = profile.viewport
        self.seen: Seen | None = None
        """The last observation; its mark numbers are valid now."""
        self.uses = 1
        """Number of leases that have had this session."""
        self._context = context
        self._way_out = chromium.accounts.get(context)
        self._settings = settings
        self._limits = SettleLimits(
            quiet_ms=settings.settle_quiet_ms,
            cap_s=settings.settle_cap_s,
            navigation_s=settings.navigation_deadline_s,
            answer_s=settings.call_deadline_s,
        )
        quota = Quota(settings.download_file_bytes, settings.download_lease_bytes, settings.download_files)
        self._downloads = Downloads(quota)
        self._tabs = Tabs(context, settings.max_tabs, self._downloads)
        self._ladder = Ladder(chromium, lambda: self._tabs.has_crashed)
        self._dialogs = Dialogs()
        context.on("dialog", self._dialogs.answer)
        self._artifacts: LeaseArtifacts | None = None
        self._files: Path | None = None
        self._recorder: Recorder | None = None
        self._has_old_history = False

    @classmethod
    async def open(cls, chromium: Chromium, profile: Profile, settings: Settings) -> "LeasedBrowser":
        """A fresh context with one blank page. Raises `BrowserCrashed`."""
        context = await chromium.new_context(profile)
        browser = cls(chromium, context, profile, settings)
        try:
            async with browser._ladder.guarded("opening a page", settings.launch_deadline_s):
                await browser._tabs.open()
        except BaseException:
            await browser.close()
            raise
        return browser

    async def begin(self, request: LeaseRequest, kept: LeaseArtifacts) -> None:
        """Sets up a new lease: its options beyond the profile. Raises the fault of the session."""
        self._artifacts = kept
        self._dialogs.begin(request.dialogs)
        self._files = commands.folder_of(self._settings.files_dir, request.files)
        self._downloads.begin(kept if request.downloads else None)
        if request.login is not None:
            async with self._ladder.guarded("signing in", self._settings.launch_deadline_s):
                await sign_in(self._context, request.login)
        if request.record.is_on:
            async with self._ladder.guarded("starting to record", self._settings.launch_deadline_s):
                self._recorder = Recorder(self._context, request.record, self.viewport, kept)
                await self._recorder.start()

    async def step(
        self, action: Action, wanted: ObserveRequest
    ) -> tuple[Observation, ActionError | None, dict[str, float]]:
        """Acts, waits until the page is ready, and observes. Returns observation, the action's error, milliseconds."""
        phases = Phases()
        start = time.perf_counter()
        if self._recorder:
            self._recorder.step_begins()
        error = await self.perform(action)
        now = phases.add("act", start)
        async with self._ladder.guarded("waiting for the page", self._limits.longest_s):
            settled = await settle(lambda: self._tabs.active, self._limits)
        phases.add("settle", now)
        error = self._explained(error)
        observation = await self.observe(wanted, phases, is_quiet=settled.is_quiet)
        phases.add("total", start)
        return observation, error, phases.ms

    async def perform(self, action: Action) -> ActionError | None:
        """Delivers one action to the active tab; returns the reason if it had no effect. The session survives that."""
        deadline_s = self._settings.call_deadline_s + commands.own_seconds(action, self._settings.navigation_deadline_s)
        try:
            async with self._ladder.guarded(f"action {action.kind}", deadline_s):
                tab = self._tabs.active
                try:
                    if action.kind == "keypress" and not self.chromium.clipboard.allows(self, action.keys):
                        raise commands.ActionFailed(
                            "NOTHING_COPIED", "this session has copied nothing that it could paste"
                        )
                    await commands.perform(action, self._hand())
                except PlaywrightError:
                    if not ((tab.is_gone or tab.page.is_closed()) and len(self._tabs)):
                        raise  # else the action closed its own tab, like a "close" button of a popup
        except commands.ActionFailed as failed:
            return failed.error
        return None

    async def observe(
        self, wanted: ObserveRequest, phases: Phases | None = None, *, is_quiet: bool = True
    ) -> Observation:
        """Observes the active tab."""
        phases = phases or Phases()
        async with self._ladder.guarded("looking at the page", self._settings.call_deadline_s):
            if self._has_old_history:
                await self._tabs.active.forget_history()
                self._has_old_history = False
            found = await when_still(self._tabs, lambda tab: look(tab, wanted, self.viewport, self._artifacts, phases))
        if wanted.marks or wanted.draw_marks:
            self.seen = found.seen
        return Observation(
            url=found.seen.url,
            title=found.seen.title,
            status=found.seen.status,
            viewport=self.viewport,
            screenshot=found.screenshot,
            marks=found.seen.marks,
            text=found.seen.text,
            ax_tree=found.ax_tree,
            tabs=self._tabs.listed(),
            downloads=self._downloads.take(),
            dialogs=self._dialogs.take(),
            notices=self._tabs.active.notices.take() if len(self._tabs) else [],
            partial=found.is_partial,
            settled=is_quiet,
        )

    async def survey(self) -> list[dict[str, Any]]:
        """Every element that can be acted on, out of view too, as the page script describes it. Keeps mark numbers."""
        return await self._ask(lambda tab: tab.survey())

    async def metadata(self) -> dict[str, Any]:
        """The page's machine-readable metadata: meta tags, JSON-LD, microdata."""
        return await self._ask(lambda tab: tab.ask("metadata"))

    def may_reach(self, policy: Policy | None) -> None:
        """Sets the egress rules of the lease that begins; None when it ends: no access at all."""
        if self._way_out:
            self._way_out.policy = policy

    @property
    def traffic(self) -> Traffic | None:
        """The traffic of the current lease; None if pages reach the network without our proxy."""
        return self._way_out.usage.traffic() if self._way_out else None

    @property
    def active_page(self) -> Page | None:
        """The page of the active tab, for observers; None when all tabs are closed."""
        return self._tabs.active.page if len(self._tabs) else None

    @property
    def lost(self) -> BrowserServiceError | None:
        """The reason why the session can't be used any more; every later call raises it."""
        return self._ladder.lost

    @property
    def is_alive(self) -> bool:
        """True unless the session is known to be broken."""
        return self.lost is None and self.chromium.is_alive and not self._tabs.has_crashed

    async def clean(self) -> None:
        """Prepares the session for another lease with the same reuse key: one tab, an empty page, nothing stored.

        Raises the fault of the session.
        """
        await self._stop_recording()
        async with self._ladder.guarded("cleaning a session", self._settings.close_deadline_s):
            await self._tabs.close_others()
            await self._tabs.active.leave()
            await self._tabs.close_others()  # the page may have opened more before it was left
            await asyncio.gather(self._tabs.active.forget_everything(), self._context.clear_cookies())
        await self._downloads.stop()
        self.chromium.clipboard.forget(self)
        self.seen = self._artifacts = self._files = None
        self._has_old_history = True
        self.uses += 1

    async def answers(self) -> bool:
        """True if the page answers within a second. A busy page does not, and goes on; raises for a broken session."""
        async with self._ladder.guarded("a health check", self._settings.call_deadline_s):
            try:
                async with asyncio.timeout(PING_DEADLINE_S):
                    await self._sign_of_life()
            except PageMoved:  # it lives, and is navigating to another document
                return True
            except TimeoutError:
                return False
        return True

    async def ping(self) -> None:
        """Health check of an idle page; raises the fault of the session, which is lost then."""
        async with self._ladder.guarded("a health check", PING_DEADLINE_S):
            await self._sign_of_life()

    async def close(self) -> None:
        """Closes the context; never raises, never takes longer than the deadlines."""
        await self._stop_recording()
        await self._downloads.stop()
        self.mark_lost(BrowserCrashed("the session is closed"))
        self.chromium.clipboard.forget(self)
        await self.chromium.close_context(self._context)

    def mark_lost(self, reason: BrowserServiceError) -> BrowserServiceError:
        """Makes every later call raise `reason`, or an earlier one; returns the one in force."""
        return self._ladder.mark(reason)

    def _hand(self) -> commands.Hand:
        return commands.Hand(
            tabs=self._tabs,
            viewport=self.viewport,
            navigation_deadline_s=self._settings.navigation_deadline_s,
            files=self._files,
            staging=self._artifacts.staging if self._files and self._artifacts else None,
        )

    def _explained(self, error: ActionError | None) -> ActionError | None:
        """The proxy's error for a document that did not load since the last step."""
        if not len(self._tabs):  # the observation will report it
            return error
        tab = self._tabs.active
        if not is_of_the_web(tab.page.url):
            message = f"the page went to {tab.page.url[:100]!r}, which is no web page, and was closed"
            return ActionError(code="NAV_BLOCKED", message=message, fault="policy")
        failed, tab.failed_document = tab.failed_document, None
        try:
            return explain(self._way_out, failed, error) if self._way_out else error
        except EgressFailed as broken:
            raise self.mark_lost(broken) from None

    async def _ask(self, question: Callable[[OpenTab], Awaitable[T]]) -> T:
        async with self._ladder.guarded("looking at the page", self._settings.call_deadline_s):
            return await when_still(self._tabs, question)

    async def _sign_of_life(self) -> None:
        await self._tabs.active.ask("look", False, False, None)

    async def _stop_recording(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder:
            await recorder.stop()
