"""Slow sites, and pages that sometimes take long: both drawn from heavy-tailed distributions, the same at each run.

A group is a walk of three to six pages, one click each; reward 1 at the last one. The n-th started group has the n-th
draw whatever its task is, so that loops which order their tasks differently have the same pages.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from agent.types import Pictures, Reach, Step, Task, Trajectory, Turn
from agent.verdict import Verdict
from browser_service.models import ClickId, LoginState, Observation, Viewport
from environments.web import serving

SHAPE = 1.2
"""Shape of both Pareto distributions: the mean is 6 times the minimum, and one draw in a hundred is 46 times the
minimum."""
LEAST_S, MOST_S, SLOWEST_SITE = 0.15, 18.0, 10.0
"""Seconds of a fast page and of one close to the navigation deadline (20 s); factor of the slowest site."""
FEWEST_PAGES, MOST_PAGES = 3, 6


@dataclass(frozen=True)
class _Draw:
    """Pages and latency of the n-th group of a run."""

    number: int
    pages: int
    """Clicks of its walk."""
    site: float
    """Latency factor of its site."""

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
    login: LoginState | None = None
    page: int = 0

    @property
    def pages(self) -> int:
        return self.drawn.pages

    async def goal(self) -> str:
        return "go on until the end"

    def is_over(self) -> bool:
        return self.page >= self.pages

    async def final_state(self) -> dict[str, Any]:
        return {"done": self.is_over()}


class SlowPages:
    """The environment. Use as `async with SlowPages() as environment`."""

    name = "slow_pages"
    judges = True

    def __init__(self, viewport: Viewport | None = None, content: str = "", *, slow: bool = True) -> None:
        """`content` is on every page below its link."""
        self.viewport = viewport or Viewport(width=160, height=210)
        self._content, self._slow = content, slow
        self._walks: dict[str, _Walk] = {}
        self._draws: dict[str, _Draw] = {}
        """Draws by group, in the order in which the groups were started."""
        self._running = AsyncExitStack()
        self._url = ""

    async def __aenter__(self) -> Self:
        app = FastAPI()

        @app.get("/{walk}/{page}")
        async def show(walk: str, page: int) -> HTMLResponse:
            found = self._walks[walk]
            with suppress(asyncio.CancelledError):  # the benchmark has ended
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
        """Starts a new walk."""
        group, _, member = trajectory_id.rpartition("-")
        drawn = self._draws.setdefault(group, _Draw.of(len(self._draws)))
        reach = Reach(sites=(self._url.removeprefix("http://"),), only_sites=True)
        walk = _Walk(drawn, member, f"{self._url}/{trajectory_id}/0", reach)
        self._walks[trajectory_id] = walk
        try:
            yield walk
        finally:
            del self._walks[trajectory_id]

    async def check(self, trajectory: Trajectory, evidence: dict[str, Any]) -> Verdict:
        """Reward 1 at the end of the walk."""
        reached = bool(evidence.get("done"))
        return Verdict(trajectory_id=trajectory.id, reward=float(reached), judge=self.name)


class GoesOn:
    """The scripted policy: clicks the only link."""

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        """Returns a click on the link."""
        return Turn(completion=None, action=ClickId(id=1))
