"""An episode as it is looked at from outside while it is played, and held there."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from agent.limits import Gates


@dataclass(frozen=True)
class Watch:
    """Who looks at an episode from outside while it is played, and may make it wait."""

    gates: Gates = field(default_factory=Gates)
    """How many calls of each kind may be under way."""
    tell: Callable[[str, int], None] = lambda phase, step: None
    """Called with each phase that begins (serve, allocate, navigate, model, act, record) and the number of steps that are over."""
    may_go_on: Callable[[], Awaitable[None]] | None = None
    """Awaited before each turn; the time that it takes does not count towards the episode's deadline."""


async def outside(deadline: asyncio.Timeout, wait: Callable[[], Awaitable[None]]) -> None:
    """Waits while the deadline stands still: what was left of it before is left of it afterwards."""
    now = asyncio.get_running_loop().time
    left = (deadline.when() or now()) - now()
    deadline.reschedule(None)
    await wait()
    deadline.reschedule(now() + left)
