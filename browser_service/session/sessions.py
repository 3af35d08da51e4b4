"""The live sessions of one process. It is the source of truth about its leases; stores and masters hold copies.

    grant -> admit: a slot, a warm browser -> step, step, ... -> release, expiry, loss or force -> closed in background

The time of a lease runs on this process's own monotonic clock: neither a change of the date nor a store that is down
ends a session.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from browser_service.artifacts.lease_artifacts import ArtifactStore
from browser_service.background import Background, every
from browser_service.chromium.fleet import Fleet
from browser_service.errors import (
    BrowserCrashed,
    BrowserServiceError,
    DeadlineExceeded,
    Draining,
    LeaseMismatch,
    LeaseNotFound,
    UnknownNode,
)
from browser_service.events import Events
from browser_service.leasing.leases import Clock, Grant, InstanceReport, instance_id_of, lease_id_of
from browser_service.leasing.tokens import TierKey
from browser_service.models import Lease, NodeStatus, PoolStatus, SessionStatus, StepReply, StepRequest
from browser_service.models.tiers import InstanceStatus
from browser_service.session import session_events
from browser_service.session.browser import LeasedBrowser
from browser_service.session.session import Ending, Session
from browser_service.session.slot_table import SlotTable
from browser_service.session.spares import Spares
from browser_service.settings import Settings

log = logging.getLogger(__name__)


class Sessions:
    """The sessions of this process, one call at a time for each. Use as `async with Sessions(...) as sessions`."""

    def __init__(self, settings: Settings, chromium: Fleet, key: TierKey, events: Events, clock: Clock) -> None:
        self.settings = settings
        self.chromium = chromium
        self.events = events
        self.draining = False
        self.on_change: Callable[[], None] = lambda: None
        """Called after each end, and when it drains: the reporter should report at once."""
        self._clock = clock
        self._table = SlotTable(settings, key, clock)
        self._spares = Spares(settings, chromium)
        self.artifacts = ArtifactStore(chromium.workdir / "kept", settings, clock)
        """Stored artifacts of the leases, for a while after their end too."""
        self._background = Background(BrowserServiceError)

    async def __aenter__(self) -> "Sessions":
        self.chromium.on_lost = self._chromium_lost
        self._spares.prepare()
        self._background.start(every(self.settings.reap_interval_s, self._reap))
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.draining = True
        await self._background.cancel()
        await self._spares.stop()

    async def admit(self, grant: Grant) -> Lease:
        """Opens a browser for the grant; the same lease again gets the same one.

        Raises `SlotTaken` when the slot is in use or was given out later than this, `Draining`, `BrowserCrashed`, or
        the error that ended the lease meanwhile.
        """
        session = self._table.get(grant.lease_id) or self._enter(grant)
        async with session.turn():  # a repeated request waits here for the first one
            self._table.of(grant.lease_id, session.holder.token)  # the first one may have failed
            if session.browser is None:
                await self._open(session)
        session.keep_alive(self._clock())
        return self._describe(session)

    async def step(self, request: StepRequest) -> StepReply:
        """Acts and observes, once per `step_id`: a repetition of the last step gets the stored reply.

        Raises `LeaseMismatch` for an older step, and the error that broke the session.
        """
        async with self.use(request.instance_id, request.token, busy_s=request.deadline_s) as (browser, session):
            if (last := session.last_reply) is not None and request.step_id <= last.step_id:
                if request.step_id == last.step_id:
                    return last
                raise LeaseMismatch(f"step {request.step_id} is out of order: step {last.step_id} was already taken")
            try:
                async with asyncio.timeout(request.deadline_s):
                    observation, error, timings = await browser.step(request.action, request.observe)
            except TimeoutError as error:
                late = DeadlineExceeded(f"the step did not end within {request.deadline_s:g} s; the session is closed")
                raise browser.mark_lost(late) from error
            session.last_reply = StepReply(
                step_id=request.step_id, observation=observation, error=error, timings_ms=timings
            )
            session.steps += 1
            session.url = observation.url
            session_events.step(self.events, session, request, session.last_reply)
            return session.last_reply

    @asynccontextmanager
    async def use(
        self, instance_id: str, token: str | None, *, busy_s: float = 30.0
    ) -> AsyncGenerator[tuple[LeasedBrowser, Session], None]:
        """The lease's browser, for this caller alone. A session that is lost meanwhile frees its slot."""
        session = self._entitled(instance_id, token)
        session.keep_alive(self._clock(), busy_s=busy_s)
        async with session.turn():
            self._entitled(instance_id, token)  # it may have ended while this call waited for the previous one
            session.keep_alive(self._clock(), busy_s=busy_s)
            browser = session.browser
            if browser is None:
                raise BrowserCrashed("the lease has no browser yet; ask for a new lease")
            try:
                yield browser, session
            except BrowserServiceError as error:
                error.session_state = "lost" if browser.lost else "alive"
                raise
            except Exception as error:
                # The action on the page is done and has no reply: the same step sent again would repeat it.
                log.exception("a call of lease %s failed unexpectedly", session.lease_id)
                why = f"the service failed at its work ({type(error).__name__}); ask for a new lease"
                raise browser.mark_lost(BrowserCrashed(why)) from error
            finally:
                if browser.lost:
                    self._end(session, "lost", browser.lost)
        session.keep_alive(self._clock())

    async def renew(self, instance_id: str, token: str | None) -> Lease:
        """Renews the lease without an action."""
        session = self._entitled(instance_id, token)
        session.keep_alive(self._clock())
        return self._describe(session)

    async def release(self, instance_id: str, token: str | None) -> None:
        """Ends the lease at once; its context is closed in the background. May be repeated."""
        lease_id = lease_id_of(instance_id)
        if self._table.has_ended(lease_id, token):
            return
        session = self._entitled(instance_id, token)
        self._end(session, "released", LeaseNotFound(f"instance not found: lease {lease_id} was released"))

    async def end(self, lease_id: str) -> None:
        """Ends a lease, whoever holds it. A lease that is not here is over already."""
        if session := self._table.get(lease_id):
            self._end(session, "ended", LeaseNotFound(f"instance not found: lease {lease_id} was ended by the service"))

    async def end_by_force(self, instance_id: str) -> None:
        """Ends a lease, whoever holds it. Raises `LeaseNotFound`."""
        lease_id = lease_id_of(instance_id)
        if self._table.get(lease_id) is None:
            raise LeaseNotFound(f"instance not found: there is no lease {lease_id[:80]}")
        await self.end(lease_id)

    def check(self, instance_id: str, token: str | None) -> None:
        """Raises unless the caller holds this live lease: `LeaseNotFound`, `LeaseMismatch`, or the error of its end."""
        self._entitled(instance_id, token)

    def watch(self, instance_id: str, token: str | None) -> LeasedBrowser:
        """The lease's browser for observers: without its lock, and without renewing the lease. Raises as `check`."""
        browser = self._entitled(instance_id, token).browser
        if browser is None:
            raise BrowserCrashed("the lease has no browser yet; try again in a moment")
        return browser

    def check_node(self, node: str | None) -> None:
        """Raises `UnknownNode` when a caller names another node than this one."""
        if node not in (None, self.settings.node_name):
            raise UnknownNode(f"Node {str(node)[:200]} is not found")

    def report(self) -> InstanceReport:
        """The report for the lease store."""
        return self._table.report(healthy=self.chromium.is_alive, draining=self.draining)

    async def sessions(self) -> list[SessionStatus]:
        """Every live lease, without its secret."""
        now = self._clock()
        return [session.status(self.settings.url, now) for session in self._table]

    async def instance_status(self) -> InstanceStatus:
        """Browser and leases, for the tier in front."""
        return InstanceStatus(browser=self.chromium.version, sessions=await self.sessions())

    async def status(self) -> PoolStatus:
        """Capacity and leases of this process."""
        sessions = await self.sessions()
        is_healthy = self.chromium.is_alive
        node = NodeStatus(
            url=self.settings.node_name,
            hash=self.settings.node_name,
            healthy=is_healthy,
            capacity=self.settings.slots,
            available=max(0, self.settings.slots - len(sessions)) if is_healthy else 0,
            instances=[session.instance_id for session in sessions],
            sessions=sessions,
            draining=self.draining,
        )
        return PoolStatus(nodes=[node], browser=self.chromium.version)

    async def set_draining(self, draining: bool, part: str | None = None) -> None:
        """Stops or allows new admissions; live leases go on."""
        self.draining = draining
        self.on_change()

    async def is_ready(self) -> bool:
        """True if a lease could be admitted."""
        return self.chromium.is_alive and not self.draining

    def __len__(self) -> int:
        return len(self._table)

    def _enter(self, grant: Grant) -> Session:
        if self.draining:
            raise Draining("this instance takes no new leases; ask another one")
        return self._table.enter(grant)

    async def _open(self, session: Session) -> None:
        request = session.grant.request
        session.keep_alive(self._clock(), busy_s=2 * self.settings.launch_deadline_s)
        kept = self.artifacts.open(session.holder)
        try:
            browser = await self._spares.take(request, leased=len(self._table))
            try:
                await browser.begin(request, kept)
            except BaseException:
                self._spares.give_back(browser, None)
                raise
            session.browser = browser
        except BaseException:
            lost = BrowserCrashed("no browser could be opened for the lease; ask for a new lease")
            self._end(session, "lost", lost)
            raise
        if session.over:  # ended while the browser was opened
            self._spares.give_back(session.browser, request.reuse)
            raise LeaseNotFound(f"instance not found: lease {session.lease_id} was ended while it began")
        session_events.granted(self.events, session)

    def _entitled(self, instance_id: str, token: str | None) -> Session:
        """The live session that this caller may use. Raises `LeaseNotFound`, `LeaseMismatch`, or its ending error."""
        session = self._table.of(lease_id_of(instance_id), token)
        if session.is_over(self._clock()):
            raise self._expire(session)
        return session

    def _expire(self, session: Session) -> BrowserServiceError:
        why = session.why_over(self._clock())
        error = LeaseNotFound(f"instance not found: lease {session.lease_id} expired, {why}")
        self._end(session, "expired", error)
        return error

    def _end(self, session: Session, how: Ending, error: BrowserServiceError) -> None:
        """Ends the lease: its browser is given back, and the slot is free for the next grant."""
        if session.over:
            return
        session.over = True
        error.session_state = "lost"
        self._table.leave(session, error)
        if session.browser:
            session_events.traffic(self.events, session, session.browser)
            is_busy = session.lock.locked()  # with a call that would disturb the next lease
            self._spares.give_back(session.browser, None if is_busy else session.grant.request.reuse)
        session.browser = session.last_reply = None
        self.artifacts.close(session.lease_id)
        log.log(
            logging.INFO if how != "lost" else logging.WARNING, "lease %s is over: %s", session.lease_id, error.detail
        )
        session_events.ended(self.events, session, how, error)
        self.on_change()

    def _chromium_lost(self) -> None:
        """Ends the leases of a dead Chromium; their slots are free again."""
        self._spares.forget_dead()
        for session in self._table:
            if session.browser and not session.browser.chromium.is_alive:
                self._end(session, "lost", session.browser.mark_lost(session.browser.chromium.why_lost()))

    async def _reap(self) -> None:
        self.chromium.check()
        now = self._clock()
        for session in [session for session in self._table if session.is_over(now)]:
            self._expire(session)

    def _describe(self, session: Session) -> Lease:
        grant = session.grant
        return Lease(
            instance_id=instance_id_of(grant.lease_id, self.settings.url),
            node=self.settings.node_name,
            generation=grant.generation,
            token=session.holder.token,
            expires_in_s=session.expires_in_s(self._clock()),
            viewport=grant.request.viewport,
            direct_url=self.settings.url if self.settings.node_url else None,
        )
