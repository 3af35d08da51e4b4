"""Hooks to observe an episode while it is played, and to hold it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from agent.limits import Gates
from browser_service.models import Observation

Detect = Callable[[Observation], str | None]
"""Returns the sign by which a page shows that the site refuses the visit; None for any other page."""


@dataclass
class BlockWatch:
    """Ends an episode at a page that refuses the visit, once it stays. One for each episode."""

    detect: Detect
    pages: int = 2
    """Consecutive blocked pages that end the episode: until then the agent may wait for a challenge, or turn back."""
    sign: str = ""
    """The sign of the last page, empty for a page that is not blocked."""
    _seen: int = 0

    def is_over(self, page: Observation) -> bool:
        """Takes the page after an action, or the start page. True if the episode should end."""
        self.sign = self.detect(page) or ""
        self._seen = self._seen + 1 if self.sign else 0
        return self._seen >= self.pages


@dataclass(frozen=True)
class Watch:
    """Observer of an episode while it is played; it may delay the next turn."""

    gates: Gates = field(default_factory=Gates)
    """Limits on concurrent calls by kind."""
    tell: Callable[[str, int], None] = lambda phase, step: None
    """Called when a phase begins (serve, allocate, navigate, model, act, record), with the number of finished steps."""
    blocked: BlockWatch | None = None
    """Looks out for pages that refuse the visit; None: the judge alone tells, afterwards."""
    may_go_on: Callable[[], Awaitable[None]] | None = None
    """Awaited before each turn; its time does not count towards the episode's deadline."""


async def outside(deadline: asyncio.Timeout, wait: Callable[[], Awaitable[None]]) -> None:
    """Stops the deadline during a wait: the remaining time is the same before and after."""
    now = asyncio.get_running_loop().time
    left = (deadline.when() or now()) - now()
    deadline.reschedule(None)
    await wait()
    deadline.reschedule(now() + left)
