"""The lease of one episode: what the environment lets its browser reach, what is recorded, how long it may last.

Nothing of a task enters it: what a browser may reach comes from the environment and the configuration alone.
"""

import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agent.config import AgentConfig
from agent.filming import fetch_recorded
from agent.limits import Gates
from agent.store import Recording
from agent.types import Reach, Recorded
from browser_service.client import Browser, BrowserPool, LeaseOptions
from browser_service.models import Recording as Wanted
from browser_service.models import Viewport

LEASE_TTL_S = 20.0
"""Seconds after which the browser of a player that was killed is free for the one that resumes."""
LONGEST_LEASE_S = 86_400.0
"""Ends no episode that goes on: `agent.episode_deadline_s` bounds it, and one that is held between two iterations may last
for hours. A lease whose holder is gone ends after `LEASE_TTL_S`."""


@dataclass
class EpisodeLease:
    """The browser of an episode, from the request until what was recorded of it has been fetched."""

    owner: str
    pool: BrowserPool
    viewport: Viewport
    config: AgentConfig
    reuse: str | None
    recording: Recording | None
    """Where films and traces are kept; None: nothing is recorded."""
    gates: Gates
    browser: Browser | None = None
    """The one that was given, also when the lease is over."""

    @asynccontextmanager
    async def hold(self, reach: Reach) -> AsyncGenerator[Browser, None]:
        """A browser that reaches no more than this, until the context is left. Raises what `BrowserPool.lease` raises."""
        lease = self.pool.lease(keep_alive=True, **self.options(reach))
        async with self.gates.passed("allocate"):
            self.browser = await lease.__aenter__()
        try:
            yield self.browser
        finally:
            async with self.gates.passed("release"):
                await lease.__aexit__(*sys.exc_info())

    def options(self, reach: Reach) -> LeaseOptions:
        """What is asked for."""
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
        """What is to be recorded; None: nothing."""
        rules = self.config.record
        if self.recording is None or not rules.is_on:
            return None
        return Wanted(video=rules.video != "none", trace=rules.trace != "none")

    async def fetch_recorded(self) -> tuple[tuple[Recorded, ...], float]:
        """What was recorded, now that the lease is over, and the seconds that fetching it took. Never raises but when cancelled."""
        if self.wanted is None or self.recording is None or self.browser is None:
            return (), 0.0
        began = time.monotonic()
        return await fetch_recorded(self.browser, self.wanted, self.recording), time.monotonic() - began
