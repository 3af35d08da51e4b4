"""The MiniWoB++ environment: a page server in the caller's event loop, one address per episode."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

from agent.types import AgentAction, Answer, Site, Split, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import Observation, Viewport
from environments.base import UnknownTask
from environments.bounds import UNBOUNDED, Bounds
from environments.miniwob import tasks, verifier
from environments.miniwob.families import FAMILIES, find_family
from environments.miniwob.pages import html_folder, read_pages
from environments.miniwob.server import Episodes, build_app
from environments.web import serving

log = logging.getLogger(__name__)

VIEWPORT = Viewport(width=160, height=210)
"""Page size of MiniWoB++ in CSS pixels."""


class MiniWob:
    """MiniWoB++ tasks. Implements `environments.base.SeededEnvironment`.

    Example:
        async with MiniWob() as environment:
            task = environment.task("click-button", seed=7, split="train")
            async with environment.serve(task, trajectory_id="t1") as site:
                ...  # open site.start_url in a browser, then `await site.goal()`

    A page reaches its own server only, whatever `bounds` (the configuration's) would allow.
    `goal_deadline_s`: seconds that `site.goal()` waits for the page to state its task.
    """

    name = "miniwob"
    judges = True

    def __init__(
        self,
        *,
        viewport: Viewport = VIEWPORT,
        host: str = "127.0.0.1",
        port: int = 0,
        goal_deadline_s: float = 20.0,
        bounds: Bounds = UNBOUNDED,
    ) -> None:
        self.viewport = viewport
        self._host = host
        self._port = port
        self._goal_deadline_s = goal_deadline_s
        self._bounds = bounds
        self._running = AsyncExitStack()
        self._episodes: Episodes | None = None
        self._url = ""

    async def __aenter__(self) -> Self:
        """Starts the page server. Raises OSError if its port is taken, `PagesNotFound` without the package `miniwob`."""
        pages = await asyncio.to_thread(lambda: read_pages(html_folder()))
        episodes = Episodes(pages, bounds=self._bounds, goal_deadline_s=self._goal_deadline_s)
        app = build_app(episodes, host=self._host)
        self._url = await self._running.enter_async_context(serving(app, host=self._host, port=self._port))
        self._episodes = episodes
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._episodes = None
        await self._running.aclose()

    def domains(self, split: Split | None = None) -> list[str]:
        """Names of the task families, sorted; each has tasks of both splits, from other seeds."""
        return sorted(FAMILIES)

    def task(self, domain: str, seed: int, split: Split) -> Task:
        """Makes the task of a family with a seed; see `tasks.make_task`."""
        return tasks.make_task(domain, seed, split)

    def canary(self, domain: str, seed: int) -> Task:
        """Makes a task about a button that the family's page does not have; see `tasks.make_canary`."""
        return tasks.make_canary(domain, seed)

    def task_from_id(self, task_id: str) -> Task:
        """Makes the task of an id such as `click-button.1000007`; see `tasks.task_from_id`."""
        return tasks.task_from_id(task_id)

    @asynccontextmanager
    async def serve(self, task: Task, *, trajectory_id: str) -> AsyncGenerator[Site]:
        """Serves one episode at its own address; leaving the context removes it. `trajectory_id` is for the log."""
        if self._episodes is None:
            raise RuntimeError("The MiniWoB++ environment is not running; enter it with `async with` before serving.")
        with self._episodes.add(task, self._url) as episode:
            log.debug("serving %s for trajectory %s", task.id, trajectory_id)
            yield episode

    async def check(self, trajectory: Trajectory, evidence: dict[str, Any]) -> Verdict:
        """Returns the verdict from the recorded end; see `verifier.check`."""
        return await verifier.check(trajectory, evidence)

    def solve(self, task: Task, goal: str, observation: Observation, *, step: int) -> AgentAction:
        """Returns the scripted solution's next action; it says at once that a canary can't be done.

        Raises `UnknownTask` without a solution, `Unsolvable` if it fails.
        """
        if task.canary:
            return Answer(text="There is no such element.")
        solution = find_family(task.domain).solution
        if solution is None:
            raise UnknownTask(f"There is no scripted solution for the MiniWoB++ family {task.domain!r}.")
        return solution(goal, observation, step)
