"""Sites that are slow, and pages that take long now and then: both drawn from heavy tails, the same at each run.

A group is a walk of three to six pages, one click each; reward 1 at the last one. The n-th group that is begun gets the n-th
draw whatever its task is, so that ways of playing which order their tasks differently have the same pages before them.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from agent.types import Pictures, Reach, Step, Task, Trajectory, Turn, Verdict
from browser_service.models import ClickId, Observation, Viewport
from environments.web import serving

SHAPE = 1.2
"""Of both Pareto distributions: the mean is 6 times the least, and one draw of a hundred is 46 times as long."""
LEAST_S, MOST_S, SLOWEST_SITE = 0.15, 18.0, 10.0
"""Seconds of a quick page and of one that nearly runs into the navigation deadline (20 s); a slow site against a quick one."""
FEWEST_PAGES, MOST_PAGES = 3, 6


@dataclass(frozen=True)
class _Draw:
    """What the n-th group of a run meets."""

    number: int
    pages: int
    """Clicks that its walk takes."""
    site: float
    """How slow its site is."""

    @classmethod
    def of(cls, number: int) -> "_Draw":
        drawn = random.Random(number)
        return cls(number, drawn.randint(FEWEST_PAGES, MOST_PAGES), min(SLOWEST_SITE, drawn.paretovariate(SHAPE)))

    def latency_s(self, member: str, page: int) -> float:
        """Seconds that the site takes for one page of one episode."""
        drawn = random.Random(f"{self.number}/{member}/{page}").paretovariate(SHAPE)
        return min(MOST_S, LEAST_S * self.site * drawn)


@dataclass
class _Walk:
    """One episode's walk through its site."""

    drawn: _Draw
    member: str
    start_url: str
    reach: Reach
    page: int = 0

    @property
    def pages(self) -> int:
        return self.drawn.pages

    async def goal(self) -> str:
        return "go on until the end"

    def is_over(self) -> bool:
        return self.page >= self.pages

    def final_state(self) -> dict[str, Any]:
        return {"done": self.is_over()}


class SlowPages:
    """The environment. Use as `async with SlowPages() as environment`."""

    name = "slow_pages"
    judges = True

    def __init__(self, viewport: Viewport | None = None, content: str = "", *, slow: bool = True) -> None:
        """`content` stands on every page below its link."""
        self.viewport = viewport or Viewport(width=160, height=210)
        self._content, self._slow = content, slow
        self._walks: dict[str, _Walk] = {}
        self._draws: dict[str, _Draw] = {}
        """By group, in the order in which they were begun."""
        self._running = AsyncExitStack()
        self._url = ""

    async def __aenter__(self) -> Self:
        app = FastAPI()

        @app.get("/{walk}/{page}")
        async def show(walk: str, page: int) -> HTMLResponse:
            found = self._walks[walk]
            with suppress(asyncio.CancelledError):  # the benchmark is over
                await asyncio.sleep(found.drawn.latency_s(found.member, page) if self._slow else 0)
            found.page = page
            return HTMLResponse(
                f"<title>{page}</title><a href=/{walk}/{page + 1}>go on</a><h1>{walk}, {page}</h1>{self._content}"
            )

        self._url = await self._running.enter_async_context(serving(app, host="127.0.0.1", port=0))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._running.aclose()

    @asynccontextmanager
    async def serve(self, task: Task, *, trajectory_id: str) -> AsyncGenerator[_Walk]:
        """A fresh walk."""
        group, _, member = trajectory_id.rpartition("-")
        drawn = self._draws.setdefault(group, _Draw.of(len(self._draws)))
        reach = Reach(sites=(self._url.removeprefix("http://"),), only_sites=True)
        walk = _Walk(drawn, member, f"{self._url}/{trajectory_id}/0", reach)
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
