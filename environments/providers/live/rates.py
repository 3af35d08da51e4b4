"""Rate per host: episodes on the same host begin at a minimum distance, so that a site is not flooded."""

import asyncio
import time
from collections.abc import Callable

from agent.failures import failed


class HostRates:
    """Start times by host, in one process. Example: `HostRates(per_minute=6)` starts an episode every 10 s per host."""

    def __init__(
        self, per_minute: float | None, *, longest_wait_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`per_minute`: starts per host; None: no limit. `longest_wait_s`: an episode that would have to wait longer is
        refused instead."""
        self._interval_s = 60 / per_minute if per_minute else 0.0
        self._longest_wait_s, self._clock = longest_wait_s, clock
        self._next: dict[str, float] = {}
        """Earliest next start by host."""

    def reserve(self, host: str) -> float:
        """Reserves the next start on a host; returns the seconds until then.

        Raises `EpisodeFailure` (infra, retryable) when that is too long; nothing is reserved then.
        """
        now = self._clock()
        wait_s = max(0.0, self._next.get(host, now) - now)
        if wait_s > self._longest_wait_s:
            message = f"{host}: the next start is in {wait_s:.0f} s, more than {self._longest_wait_s:g} s (tasks.rate)"
            raise failed("infra", "RATE", message, retryable=True)
        self._next[host] = now + wait_s + self._interval_s
        return wait_s

    async def wait(self, host: str) -> None:
        """Waits for the host's next start. Raises `EpisodeFailure` as `reserve`."""
        if self._interval_s and (wait_s := self.reserve(host)):
            await asyncio.sleep(wait_s)
