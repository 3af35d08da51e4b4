"""How many calls of each kind may be under way at once: a fleet, a site and a model server each break at another number.

The kinds are those of WebGym's `http_pools`; `model` is ours. One call of ours does what several of WebGym's do, change the
page and look at it, so it needs a place at each gate that it passes.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from browser_service.models import Action, ObserveRequest

Kind = Literal["allocate", "release", "navigate", "execute", "screenshot", "metadata", "text", "model"]
Limit = Annotated[int, Field(ge=1)] | None
NAVIGATES = frozenset({"visit_page", "back", "forward", "reload", "open_tab"})


class CallLimits(BaseModel):
    """Calls at the same time, by kind; None: as many as there are episodes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allocate: Limit = None
    """Leases that are asked for."""
    release: Limit = None
    navigate: Limit = None
    """Pages that are opened, also by going back or reloading."""
    execute: Limit = None
    """All other actions."""
    screenshot: Limit = None
    """Calls that bring a picture."""
    metadata: Limit = None
    """Calls that bring the page's elements."""
    text: Limit = None
    """Calls that bring the page's text or accessibility tree."""
    model: Limit = None
    """Turns that the model is asked for. What vLLM cannot batch waits there with its prompt in memory."""


class Gates:
    """The limits of one set of episodes. Example: `async with gates.passed("model"): turn = await policy.act(...)`."""

    def __init__(self, limits: CallLimits | None = None, *, parts: int = 1) -> None:
        """`parts`: how many such sets share the limits; each gets its part, at least one."""
        given = limits.model_dump(exclude_none=True) if limits else {}
        self._gates = {kind: asyncio.Semaphore(max(1, limit // parts)) for kind, limit in given.items()}

    @asynccontextmanager
    async def passed(self, *kinds: Kind) -> AsyncGenerator[None, None]:
        """Around one call that is of all these kinds: waits until fewer are under way."""
        async with AsyncExitStack() as places:
            # Always in the same order: two calls that each hold what the other waits for would wait for ever.
            for kind in sorted(set(kinds) & self._gates.keys()):
                await places.enter_async_context(self._gates[kind])
            yield


def kinds_of(action: Action, observe: ObserveRequest) -> list[Kind]:
    """The gates that one step of the browser passes."""
    kinds: list[Kind] = []
    if action.kind != "observe":
        kinds.append("navigate" if action.kind in NAVIGATES else "execute")
    if observe.screenshot:
        kinds.append("screenshot")
    if observe.marks:
        kinds.append("metadata")
    if observe.text or observe.ax_tree:
        kinds.append("text")
    return kinds
