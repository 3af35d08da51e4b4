"""The open web, or any running site: an episode starts at the task's own address, and the site knows no tasks."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from agent.types import Reach, Site, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import Viewport
from environments.bounds import UNBOUNDED, Bounds

VIEWPORT = Viewport(width=1280, height=720)


class LiveWeb:
    """Tasks of a file on external sites. Implements `environments.base.Environment`."""

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
        """`private_sites`: private addresses on which tasks may be played, such as `127.0.0.1:3000`; with
        `only_private_sites` no other site is reached. `bounds`: limits of the configuration."""
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
        """Yields a site at the task's own address."""
        yield LiveSite(task, self._bounds.reach(task, sites=self._private_sites, only_sites=self._only_private_sites))

    def check(self, trajectory: Trajectory) -> Verdict:
        """Returns an unjudged verdict: a live site has no verifier, so a rubric judge has to read the evidence."""
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
        """The task's goal."""
        return self._task.goal

    def is_over(self) -> bool:
        """Always False: only the agent ends such an episode."""
        return False

    def final_state(self) -> dict[str, Any]:
        """Always empty: there is no verifier."""
        return {}
