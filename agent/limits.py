"""Limits on concurrent calls by kind: a fleet, a site and a model server each have their own limit.

The kinds are those of WebGym's `http_pools`, and `model`. One call here changes the page and observes it, as several
calls of WebGym do, so it needs a place at the gate of each of its kinds.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from browser_service.models import Action, ObserveRequest

Kind = Literal["allocate", "release", "navigate", "execute", "screenshot", "metadata", "text", "model"]
Limit = Annotated[int, Field(ge=1)] | None
NAVIGATES = frozenset({"visit_page", "back", "forward", "reload", "open_tab"})


class CallLimits(BaseModel):
    """Limits on concurrent calls, by kind; None: as many as there are episodes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    allocate: Limit = None
    """Requests for a lease."""
    release: Limit = None
    navigate: Limit = None
    """Page loads, also by going back or reloading."""
    execute: Limit = None
    """All other actions."""
    screenshot: Limit = None
    """Calls that return a picture."""
    metadata: Limit = None
    """Calls that return the page's elements."""
    text: Limit = None
    """Calls that return the page's text or accessibility tree."""
    model: Limit = None
    """Turns of the model. Calls that vLLM cannot batch wait there with their prompts in memory."""

    def given(self) -> dict[str, int]:
        """The limits that are set, by kind."""
        return self.model_dump(exclude_none=True)

    def part(self, weights: Sequence[float], number: int) -> "CallLimits":
        """The share of one of several processes in these limits, by its weight."""
        return CallLimits(**{kind: shares(limit, weights)[number] for kind, limit in self.given().items()})


class Gates:
    """The limits of all episodes of a process. Example: `async with gates.passed("model"): turn = await policy.act(...)`."""

    def __init__(self, limits: CallLimits | None = None) -> None:
        given = limits.given() if limits else {}
        self._gates = {kind: asyncio.Semaphore(limit) for kind, limit in given.items()}

    @asynccontextmanager
    async def passed(self, *kinds: Kind) -> AsyncGenerator[None, None]:
        """Context of one call of all these kinds: waits for a free place at each gate."""
        async with AsyncExitStack() as places:
            # Always in the same order, which prevents a deadlock of two calls.
            for kind in sorted(set(kinds) & self._gates.keys()):
                await places.enter_async_context(self._gates[kind])
            yield


def shares(total: int, weights: Sequence[float]) -> list[int]:
    """Divides `total` by weight (largest remainders), at least one each. Example: `shares(8, [1, 1, 1])` is `[3, 3,
    2]`.

    The parts add up to `total`, unless there are more parts than that.
    """
    fair = [total * weight / sum(weights) for weight in weights]
    parts = [max(1, math.floor(part)) for part in fair]
    while sum(parts) != max(total, len(parts)):
        step = 1 if sum(parts) < total else -1
        movable = [one for one, part in enumerate(parts) if part + step >= 1]
        parts[max(movable, key=lambda one: step * (fair[one] - parts[one]))] += step
    return parts


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
