"""An instance that admits a grant twice while the first browser does not open."""

import asyncio
import time
from pathlib import Path

from browser_service.chromium.chromium import Chromium
from browser_service.chromium.fleet import Fleet
from browser_service.errors import BrowserCrashed
from browser_service.events import Events
from browser_service.leasing.leases import Grant
from browser_service.leasing.tokens import TierKey
from browser_service.models import Isolation, LeaseRequest
from browser_service.session.sessions import Sessions
from browser_service.settings import Settings


class NoBrowsers(Fleet):
    """Starts nothing: each launch takes a moment and fails."""

    launches = 0

    async def host(self, isolation: Isolation) -> Chromium:
        self.launches += 1
        await asyncio.sleep(0.1)
        raise BrowserCrashed("no browser could be started: the disk is full")


async def test_a_repeated_grant_hears_what_became_of_the_first(tmp_path: Path) -> None:
    settings, events = Settings(egress=False, state_dir=tmp_path), Events()
    fleet = NoBrowsers(settings, tmp_path, events)
    sessions = Sessions(settings, fleet, TierKey.random(), events, time.monotonic)
    wanted = LeaseRequest()
    grant = Grant(
        lease_id="one", instance=settings.url, slot=0, generation=1, token="", needs_token=False, request=wanted
    )
    first, again = await asyncio.gather(sessions.admit(grant), sessions.admit(grant), return_exceptions=True)
    assert isinstance(first, BrowserCrashed) and "the disk is full" in first.detail
    assert isinstance(again, BrowserCrashed) and again.session_state == "lost"
    assert fleet.launches == 1, "a lease that is over opens nothing"
    assert sessions.artifacts.find("one", None).gone_at is not None, "its kept was closed"
    assert len(sessions) == 0
