"""The open web, or any site that runs already: an episode starts at the task's own address, and the site knows of no task."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from agent.types import Reach, Site, Task, Trajectory, Verdict
from browser_service.models import Viewport
from environments.bounds import UNBOUNDED, Bounds

VIEWPORT = Viewport(width=1280, height=720)


class LiveWeb:
    """Tasks of a file on sites that are not ours. Implements `environments.base.Environment`."""

    name = "live"
    judges = False

    def __init__(
        self,
        *,
        viewport: Viewport = VIEWPORT,
        private_sites: Sequence[str] = (),
        only_private_sites: bool = False,
        bounds: Bounds = UNBOUNDED,
    ) -> None:
        """`private_sites`: private addresses that the tasks may be played on, such as `127.0.0.1:3000`; with
        `only_private_sites` nothing else is reached. `bounds`: what the configuration allows."""
        self.viewport = viewport
        self._private_sites, self._only_private_sites = tuple(private_sites), only_private_sites
        self._bounds = bounds

    async def __aenter__(self) -> Self:
        """Starts nothing: the sites run already."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stops nothing."""

    @asynccontextmanager
    async def serve(self, task: Task, *, trajectory_id: str) -> AsyncGenerator[Site]:
        """The task's own address."""
        yield LiveSite(task, self._bounds.reach(task, sites=self._private_sites, only_sites=self._only_private_sites))

    def check(self, trajectory: Trajectory) -> Verdict:
        """Unjudged: such a site says nothing about the task, so a rubric judge has to look at the evidence."""
        return Verdict(
            trajectory_id=trajectory.id,
            reward=None,
            evidence="not judged: a live site has no verifier; use a judge that reads the rubric",
            judge=self.name,
        )


class LiveSite:
    """One episode on a site. Implements `agent.types.Site`."""

    def __init__(self, task: Task, reach: Reach) -> None:
        self._task = task
        self.start_url = task.start_url
        self.reach = reach

    async def goal(self) -> str:
        """What the task says."""
        return self._task.goal

    def is_over(self) -> bool:
        """Never: only the agent ends such an episode."""
        return False

    def final_state(self) -> dict[str, Any]:
        """Nothing that a verifier could use."""
        return {}
