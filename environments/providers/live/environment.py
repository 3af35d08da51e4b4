"""The open web, or any running site: an episode starts at the task's own address, and the site knows no tasks."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from agent.failures import failed
from agent.types import Reach, Site, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import LoginState, Viewport
from environments.base import EnvironmentBroken
from environments.bounds import UNBOUNDED, Bounds
from environments.providers.live.logins import Logins
from environments.providers.live.rates import HostRates

VIEWPORT = Viewport(width=1280, height=720)
LONGEST_WAIT_S = 300.0
"""Seconds that an episode waits for its host's rate."""


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
        logins: Mapping[str, Path] | None = None,
        per_minute: float | None = None,
    ) -> None:
        """`private_sites`: private addresses on which tasks may be played, such as `127.0.0.1:3000`; with
        `only_private_sites` no other site is reached. `bounds`: limits of the configuration.
        `logins`: files with log-in state by host. `per_minute`: episodes that may begin on one host per minute."""
        self.viewport = viewport
        self._private_sites, self._only_private_sites = tuple(private_sites), only_private_sites
        self._bounds = bounds
        self._logins = Logins(logins or {})
        self._rates = HostRates(per_minute, longest_wait_s=LONGEST_WAIT_S)

    async def __aenter__(self) -> Self:
        """Starts nothing: the sites run already."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stops nothing."""

    @asynccontextmanager
    async def serve(self, task: Task, *, trajectory_id: str) -> AsyncGenerator[Site]:
        """Yields a site at the task's own address, when the rate of its host allows it.

        Raises `EpisodeFailure` (infra) when that takes too long, and when its log-in profile can't be read.
        """
        host = urlsplit(task.start_url).hostname or ""
        try:
            login = self._logins.of(host)
        except EnvironmentBroken as error:
            raise failed("infra", "ENVIRONMENT_BROKEN", str(error), retryable=False) from error
        await self._rates.wait(host)
        reach = self._bounds.reach(task, sites=self._private_sites, only_sites=self._only_private_sites)
        yield LiveSite(task, reach, login)

    async def check(self, trajectory: Trajectory, evidence: dict[str, Any]) -> Verdict:
        """Returns an unjudged verdict: a live site has no verifier, so a rubric judge has to read the evidence."""
        return Verdict(
            trajectory_id=trajectory.id,
            reward=None,
            evidence="not judged: a live site has no verifier; use a judge that reads the rubric",
            judge=self.name,
        )


class LiveSite:
    """One episode on a site. Implements `agent.types.Site`."""

    def __init__(self, task: Task, reach: Reach, login: LoginState | None = None) -> None:
        self._task = task
        self.start_url = task.start_url
        self.reach, self.login = reach, login

    async def goal(self) -> str:
        """The task's goal."""
        return self._task.goal

    def is_over(self) -> bool:
        """Always False: only the agent ends such an episode."""
        return False

    async def final_state(self) -> dict[str, Any]:
        """Always empty: there is no verifier."""
        return {}
