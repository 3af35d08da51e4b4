"""Waits until a page is ready: navigation over, content loaded, document quiet, or the hard cap. No fixed sleep."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from browser_service.tabs.tab import OpenTab
from browser_service.tabs.world import PageMoved


@dataclass(frozen=True)
class SettleLimits:
    """Time limits of the wait."""

    quiet_ms: int
    """Milliseconds without a change of the document that count as quiet."""
    cap_s: float
    """Limit for a page that is loaded but never quiet."""
    navigation_s: float
    """Limit for a pending document."""
    answer_s: float
    """Limit for any answer of the page's renderer; a hung one never answers."""

    @property
    def longest_s(self) -> float:
        """Upper bound of the whole wait."""
        return self.navigation_s + self.cap_s + self.answer_s


class Settled(NamedTuple):
    """The outcome of the wait."""

    is_quiet: bool
    seconds: float


async def settle(active_tab: Callable[[], OpenTab], limits: SettleLimits) -> Settled:
    """Waits until the active tab is ready to be observed; follows the active tab.

    The cap starts again with each new document, and the whole wait ends after cap and navigation limit together.
    Raises TimeoutError when the renderer hangs.
    """
    start = time.monotonic()
    last = start + limits.navigation_s + limits.cap_s
    cap = start + limits.cap_s
    while (now := time.monotonic()) < last:
        tab = active_tab()
        if tab.crashed:
            break
        if tab.loading.is_navigating():
            await tab.loading.change(min(last - now, 1.0))
            cap = time.monotonic() + limits.cap_s
            continue
        left = cap - now
        if left <= 0:
            break
        try:
            async with asyncio.timeout(left + limits.answer_s):
                is_quiet = await tab.ask("quiet", limits.quiet_ms, round(left * 1000))
        except PageMoved:
            cap = time.monotonic() + limits.cap_s
            continue
        if tab is not active_tab() or tab.loading.is_navigating():
            continue
        if tab.loading.is_loading():
            if tab.loading.is_opening():
                cap = max(cap, time.monotonic() + limits.cap_s)
            await tab.loading.change(min(cap - time.monotonic(), 0.25))
            continue
        if is_quiet:
            return Settled(True, time.monotonic() - start)
    return Settled(False, time.monotonic() - start)
