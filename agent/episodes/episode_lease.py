"""The lease of one episode: hosts that its browser may reach, recording, lifetime.

No field of a task changes what the browser may reach: that comes from the environment and the configuration alone. A
task whose expectation is about requests has them recorded.
"""

import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agent.config import AgentConfig
from agent.episodes.filming import fetch_recorded
from agent.limits import Gates
from agent.recording import Recording
from agent.types import Reach, Recorded, Task
from browser_service.client import Browser, BrowserPool, LeaseOptions
from browser_service.models import LoginState, Viewport
from browser_service.models import Recording as Wanted
from telemetry.ids import bound
from telemetry.spans import current, span

LEASE_TTL_S = 20.0
"""Seconds after which the browser of a killed player is free for the player that resumes."""
LONGEST_LEASE_S = 86_400.0
"""Longer than any episode: `agent.episode_deadline_s` bounds episodes, and a partial rollout that is held between two
iterations may last for hours. A lease whose holder is gone ends after `LEASE_TTL_S`."""


@dataclass
class EpisodeLease:
    """The browser of an episode, from the request until its recordings have been fetched."""

    owner: str
    task: Task
    pool: BrowserPool
    viewport: Viewport
    config: AgentConfig
    reuse: str | None
    recording: Recording | None
    """Store of the recordings; None: nothing is recorded."""
    gates: Gates
    browser: Browser | None = None
    """The leased browser, kept after the lease is over."""

    @asynccontextmanager
    async def hold(self, reach: Reach, login: LoginState | None = None) -> AsyncGenerator[Browser, None]:
        """Leases a browser with this reach and log-in state until the context is left.

        Raises what `BrowserPool.lease` raises.
        """
        lease = self.pool.lease(keep_alive=True, **(self.options(reach) | LeaseOptions(owner=self.owner, login=login)))
        async with self.gates.passed("allocate"):
            with span("lease"):
                self.browser = await lease.__aenter__()
        lease_id = self.browser.lease.instance_id.partition(":")[0]  # without the port, as in the service's own log
        current().set(lease=lease_id)
        try:
            with bound(lease=lease_id):
                yield self.browser
        finally:
            async with self.gates.passed("release"):
                await lease.__aexit__(*sys.exc_info())

    def options(self, reach: Reach) -> LeaseOptions:
        """Options of the lease request."""
        options = LeaseOptions(
            owner=self.owner,
            viewport=self.viewport,
            ttl_s=LEASE_TTL_S,
            max_lifetime_s=LONGEST_LEASE_S,
            wait_s=self.config.lease_wait_s,
            reuse=self.reuse,
            isolation=reach.isolation,
            sites=reach.sites,
            only_sites=reach.only_sites,
            blocked_hosts=reach.blocked_hosts,
        )
        return options | LeaseOptions(owner=self.owner, record=self.wanted) if self.wanted else options

    @property
    def wanted(self) -> Wanted | None:
        """Kinds of recording that are wanted; None for none."""
        return self.config.record.wanted(self.task) if self.recording is not None else None

    async def fetch_recorded(self) -> tuple[tuple[Recorded, ...], float]:
        """Fetches the recordings after the lease, with the seconds that it took. Raises only on cancellation."""
        if self.wanted is None or self.recording is None or self.browser is None:
            return (), 0.0
        began = time.monotonic()
        return await fetch_recorded(self.browser, self.wanted, self.recording), time.monotonic() - began
