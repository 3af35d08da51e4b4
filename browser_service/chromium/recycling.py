"""Rules for replacing a Chromium. `fleet.py` applies them.

A slow site is no reason: only operations of the browser itself count as stuck, and only two different kinds of them
together make it degraded.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from browser_service.chromium.chromium import Chromium
    from browser_service.settings import Settings

Reason = Literal["leases", "memory", "faults", "degraded"]
MB = 1_000_000
# A Chromium that exceeds the soft mark by this factor is killed at once.
HARD_FACTOR = 2
# Number of dead renderers and unclosable contexts after which a Chromium is replaced.
FAULT_LIMIT = 10
STRIKE_MEMORY_S = 60.0
KINDS_OF_STRIKES = 2


@dataclass
class Strikes:
    """The recently stuck operations of a browser, by kind."""

    clock: Callable[[], float] = time.monotonic
    _last: dict[str, float] = field(default_factory=dict)

    def add(self, operation: str) -> None:
        """Records that this kind of operation did not end in time."""
        self._last[operation] = self.clock()

    @property
    def is_degraded(self) -> bool:
        """True if at least two different kinds were stuck within the last minute."""
        since = self.clock() - STRIKE_MEMORY_S
        return sum(at > since for at in self._last.values()) >= KINDS_OF_STRIKES


def soft_mark(chromium: "Chromium", settings: "Settings") -> int:
    """Bytes of proportional memory that this Chromium may use for its number of sessions."""
    return (settings.chromium_memory_mb + settings.session_memory_mb * max(1, len(chromium.contexts))) * MB


def is_beyond_hard_mark(chromium: "Chromium", settings: "Settings") -> bool:
    """True if it has to be killed before the machine runs out of memory."""
    return chromium.pss_bytes > HARD_FACTOR * soft_mark(chromium, settings)


def why_replace(chromium: "Chromium", settings: "Settings") -> Reason | None:
    """The reason to give this Chromium no more leases, or None. Called whenever one of its contexts has ended."""
    if chromium.strikes.is_degraded:
        return "degraded"
    if chromium.faults >= (FAULT_LIMIT if chromium.is_shared else 1):
        return "faults"
    if chromium.leases >= (settings.shared_leases if chromium.is_shared else settings.own_leases):
        return "leases"
    if chromium.pss_bytes > soft_mark(chromium, settings):
        return "memory"
    return None
