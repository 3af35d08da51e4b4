"""Waits for what must happen. Tests never sleep for a while and then expect that it has: on a crowded machine it has not.

Only "nothing happened" needs a fixed time.
"""

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 60.0
"""Seconds that something may take on a machine that does many other things; a quiet one needs a fraction of the first."""


async def until(condition: Callable[[], object], what: str = "it", *, within_s: float = PATIENCE_S) -> float:
    """Waits until something is so, and returns the seconds that it took. Fails with `what` never became so."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, f"{what} did not become so within {within_s:g} s"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def wait_until(condition: Callable[[], object], what: str = "it", *, within_s: float = PATIENCE_S) -> float:
    """The same in a thread."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, f"{what} did not become so within {within_s:g} s"
        time.sleep(0.02)
    return time.monotonic() - began
