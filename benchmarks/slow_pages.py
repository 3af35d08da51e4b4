"""Sites that are slow, and pages that take long now and then: both drawn from heavy tails, the same at each run.

A task is a walk of three to six pages, one click each; reward 1 at the last one.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from agent.types import Pictures, Site, Step, Task, Trajectory, Turn, Verdict
from browser_service.models import ClickId, Observation, Viewport
from environments.web import serving

SHAPE = 1.2
"""Of both Pareto distributions: the mean is 6 times the least, and one draw of a hundred is 46 times as long."""
LEAST_S, MOST_S, SLOWEST_SITE = 0.15, 18.0, 10.0
"""Seconds of a quick page and of one that nearly runs into the navigation deadline (20 s); a slow site against a quick one."""
FEWEST_PAGES, MOST_PAGES = 3, 6


def pages_of(task: Task) -> int:
    """Clicks that a task takes."""
    return random.Random(task.seed).randint(FEWEST_PAGES, MOST_PAGES)


def latency_s(task: Task, member: str, page: int) -> float:
    """Seconds that the site takes for one page of one episode."""
    site = min(SLOWEST_SITE, random.Random(f"site/{task.seed}").paretovariate(SHAPE))
    drawn = random.Random(f"{task.seed}/{member}/{page}").paretovariate(SHAPE)
    return min(MOST_S, LEAST_S * site * drawn)


@dataclass
class _Walk:
    """One episode's walk through its site."""

    task: Task
    member: str
    start_url: str
    sites: Sequence[str]
    page: int = 0

    async def goal(self) -> str:
        return "go on until the end"

    def is_over(self) -> bool:
        return self.page >= pages_of(self.task)

    def final_state(self) -> dict[str, Any]:
        return {"done": self.is_over()}


class SlowPages:
    """The environment. Use as `async with SlowPages() as environment`."""

    name = "slow_pages"

    def __init__(self, viewport: Viewport | None = None, content: str = "", *, slow: bool = True) -> None:
        """`content` stands on every page below its link."""
        self.viewport = viewport or Viewport(width=160, height=210)
        self._content, self._slow = content, slow
        self._walks: dict[str, _Walk] = {}
        self._running = AsyncExitStack()
        self._url = ""

    async def __aenter__(self) -> Self:
        app = FastAPI()

        @app.get("/{walk}/{page}")
        async def show(walk: str, page: int) -> HTMLResponse:
            found = self._walks[walk]
            with suppress(asyncio.CancelledError):  # the benchmark is over
                await asyncio.sleep(latency_s(found.task, found.member, page) if self._slow else 0)
            found.page = page
            return HTMLResponse(
                f"<title>{page}</title><a href=/{walk}/{page + 1}>go on</a><h1>{walk}, {page}</h1>{self._content}"
            )

        self._url = await self._running.enter_async_context(serving(app, host="127.0.0.1", port=0))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._running.aclose()

    @asynccontextmanager
    async def serve(self, task: Task, *, trajectory_id: str) -> AsyncGenerator[Site]:
        """A fresh walk."""
        member = trajectory_id.rpartition("-")[2]
        walk = _Walk(task, member, f"{self._url}/{trajectory_id}/0", [self._url.removeprefix("http://")])
        self._walks[trajectory_id] = walk
        try:
            yield walk
        finally:
            del self._walks[trajectory_id]

    def check(self, trajectory: Trajectory) -> Verdict:
        """1 at the end of the walk."""
        reached = bool(trajectory.final_state.get("done"))
        return Verdict(trajectory_id=trajectory.id, reward=float(reached), judge=self.name)


class GoesOn:
    """The scripted policy: clicks the only link."""

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """Always the same."""
        return Turn(completion=None, action=ClickId(id=1))
