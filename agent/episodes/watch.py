"""Hooks to observe an episode while it is played, and to hold it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from agent.limits import Gates


@dataclass(frozen=True)
class Watch:
    """Observer of an episode while it is played; it may delay the next turn."""

    gates: Gates = field(default_factory=Gates)
    """Limits on concurrent calls by kind."""
    tell: Callable[[str, int], None] = lambda phase, step: None
    """Called when a phase begins (serve, allocate, navigate, model, act, record), with the number of finished steps."""
    may_go_on: Callable[[], Awaitable[None]] | None = None
    """Awaited before each turn; its time does not count towards the episode's deadline."""


async def outside(deadline: asyncio.Timeout, wait: Callable[[], Awaitable[None]]) -> None:
    """Stops the deadline during a wait: the remaining time is the same before and after."""
    now = asyncio.get_running_loop().time
    left = (deadline.when() or now()) - now()
    deadline.reschedule(None)
    await wait()
    deadline.reschedule(now() + left)
