"""One live session: its grant, its browser, and its remaining time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from browser_service.leasing.ended import Holder
from browser_service.leasing.leases import Grant, LiveLease
from browser_service.models import SessionStatus, StepReply, Viewport
from browser_service.session.browser import LeasedBrowser
from telemetry.ids import bound
from telemetry.spans import current

Ending = Literal["released", "expired", "lost", "ended"]


@dataclass(eq=False)
class Session:
    """A lease that its instance has admitted. Times are seconds of the instance's clock."""

    grant: Grant
    holder: Holder
    started_at: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one call that uses the browser."""
    browser: LeasedBrowser | None = None
    last_reply: StepReply | None = None
    """The reply to a repeated step."""
    steps: int = 0
    url: str = ""
    over: bool = False
    is_reported: bool = False
    """True once the tier in front has received it as live."""
    expires_at: float = field(init=False)
    """Moves with each call."""
    ends_at: float = field(init=False)
    """Fixed end, also of a busy lease."""

    def __post_init__(self) -> None:
        self.ends_at = self.started_at + self.grant.request.max_lifetime_s
        self.expires_at = self.started_at
        self.keep_alive(self.started_at)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None, None]:
        """A call's use of the session, alone; its log lines and its span have the lease's id."""
        async with self.lock:
            with bound(lease=self.lease_id):
                current().set(lease=self.lease_id)
                yield

    @property
    def lease_id(self) -> str:
        return self.grant.lease_id

    @property
    def viewport(self) -> Viewport:
        return self.grant.request.viewport

    def keep_alive(self, now: float, *, busy_s: float = 0.0) -> None:
        """Extends the lease to its ttl from now, after `busy_s` seconds of work."""
        self.expires_at = min(now + busy_s + self.grant.request.ttl_s, self.ends_at)

    def is_over(self, now: float) -> bool:
        """True once its time has passed."""
        return now >= self.expires_at

    def why_over(self, now: float) -> str:
        """Clause for messages: the reason of its end."""
        if now >= self.ends_at:
            return "its longest lifetime is over"
        return f"no call came for {self.grant.request.ttl_s:g} s"

    def expires_in_s(self, now: float) -> float:
        """Remaining seconds."""
        return round(max(0.0, self.expires_at - now), 3)

    def as_live(self, now: float) -> LiveLease:
        """The lease in a report for the lease store."""
        request = self.grant.request
        return LiveLease(
            lease_id=self.lease_id,
            slot=self.grant.slot,
            generation=self.grant.generation,
            owner=request.owner,
            share=request.share,
            idempotency_key=request.idempotency_key,
            batch=self.grant.batch,
            needs_token=self.grant.needs_token,
            expires_in_s=self.expires_in_s(now),
        )

    def status(self, instance: str, now: float) -> SessionStatus:
        """The lease as operators see it."""
        request = self.grant.request
        return SessionStatus(
            instance_id=f"{self.lease_id}:{instance.rpartition(':')[2]}",
            owner=request.owner,
            generation=self.grant.generation,
            age_s=round(now - self.started_at, 3),
            expires_in_s=self.expires_in_s(now),
            share=request.share,
            slot=f"{instance}#{self.grant.slot}",
            steps=self.steps,
            url=self.url,
            traffic=self.browser.traffic if self.browser else None,
        )
