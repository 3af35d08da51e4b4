"""A browser pool that remembers which browser each rollout has, so that its screen can be watched."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Unpack
from urllib.parse import quote

from browser_service.client import Browser, BrowserPool, LeaseOptions


class LivePool(BrowserPool):
    """The pool of a worker. Leases are known by their owner, which is the rollout's id."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._url = url.split(",")[0].rstrip("/")
        self._held: dict[str, Browser] = {}

    @asynccontextmanager
    async def lease(self, *, keep_alive: bool = True, **options: Unpack[LeaseOptions]) -> AsyncGenerator[Browser, None]:
        """As `BrowserPool.lease`."""
        owner = options["owner"]
        async with super().lease(keep_alive=keep_alive, **options) as browser:
            self._held[owner] = browser
            try:
                yield browser
            finally:
                del self._held[owner]

    def live_url(self, rollout_id: str) -> str:
        """Address of the stream of a rollout's screen, with the lease's secret; empty while it has no browser."""
        if (browser := self._held.get(rollout_id)) is None:
            return ""
        lease = browser.lease
        session, token = quote(lease.instance_id, safe=":"), quote(lease.token, safe="")
        return f"{self._url}/sessions/{session}/live/stream?token={token}"

    def instance_of(self, rollout_id: str) -> str | None:
        """The session that a rollout holds, for ending it from outside."""
        browser = self._held.get(rollout_id)
        return None if browser is None else browser.lease.instance_id
