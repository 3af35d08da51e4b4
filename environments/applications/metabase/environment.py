"""The environment `metabase`: tasks of files, each episode on a pair of containers, judged by the task's answer."""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from agent.failures import failed
from agent.types import Reach, Site, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import LoginState, Viewport
from environments.applications.metabase.config import MetabaseConfig
from environments.applications.metabase.pairs import HEALTH, Pairs
from environments.applications.metabase.sign_in import password_of, sign_in
from environments.base import EnvironmentBroken, Place
from environments.bounds import UNBOUNDED, Bounds
from environments.providers.docker.containers import Running
from environments.teardown import Teardowns

VIEWPORT = Viewport(width=1440, height=900)
HEALTH_DEADLINE_S = 10.0
"""Seconds for the look at an episode's end whether the application still answers."""


class Metabase:
    """Tasks of a file on Metabase. Implements `environments.base.Environment`.

    Example: `Metabase(MetabaseConfig(image="metabase/metabase:v0.53.5.2", dump=Path("metabase.dump")))`
    """

    name = "metabase"
    judges = False

    def __init__(
        self,
        config: MetabaseConfig,
        *,
        viewport: Viewport = VIEWPORT,
        bounds: Bounds = UNBOUNDED,
        engine: str | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """`bounds`: limits of the configuration. `engine`: address of the Docker engine; None: that of DOCKER_HOST.
        `environment`: the variables that have the password."""
        self.viewport = viewport
        self._config, self._bounds, self._environment = config, bounds, environment
        self._pairs = Pairs(config, engine=engine)
        self._teardowns = Teardowns()

    async def __aenter__(self) -> Self:
        """Removes what killed owners left, and restores the dump once. Raises `EnvironmentBroken`."""
        if self._config.login is not None:
            password_of(self._config.login, self._environment)
        await self._pairs.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._teardowns.finish()
        await self._pairs.__aexit__(*exc)

    @asynccontextmanager
    async def serve(self, task: Task, *, trajectory_id: str) -> AsyncGenerator[Site]:
        """Serves a fresh pair. Raises `EpisodeFailure` (infra) when it can't be started, or the log-in fails."""
        async with self._teardowns.removing(self._opened(trajectory_id), trajectory_id) as (place, login):
            reach = self._bounds.reach(task, sites=place.sites, only_sites=True)
            yield MetabaseSite(task, place, reach, login)

    async def check(self, trajectory: Trajectory, evidence: dict[str, Any]) -> Verdict:
        """Returns an unjudged verdict: the answer judge compares with the task's answer, or a judge model decides."""
        return Verdict(
            trajectory_id=trajectory.id,
            reward=None,
            evidence="not judged: metabase has no verifier; the judge `answer` compares with the task's answer",
            judge=self.name,
        )

    @asynccontextmanager
    async def _opened(self, trajectory_id: str) -> AsyncGenerator[tuple[Place[Running], LoginState | None]]:
        """A pair, and its session. Failures to get there, and to remove it, are infrastructure failures."""
        account = self._config.login
        try:
            async with self._pairs.fresh(trajectory_id) as place:
                login = None if account is None else await sign_in(place.url, account, self._environment)
                yield place, login
        except (EnvironmentBroken, OSError, TimeoutError) as error:
            raise failed("infra", "ENVIRONMENT_BROKEN", f"{self.name}: {error}", retryable=True) from error


class MetabaseSite:
    """One episode on a pair. Implements `agent.types.Site`."""

    def __init__(self, task: Task, place: Place[Running], reach: Reach, login: LoginState | None) -> None:
        self.start_url = start_of(task, place.url)
        self.reach, self.login = reach, login
        self._task, self._place = task, place

    async def goal(self) -> str:
        """The task's goal."""
        return self._task.goal

    def is_over(self) -> bool:
        """Always False: the agent says when it has finished."""
        return False

    async def final_state(self) -> dict[str, Any]:
        """Empty: there is no verifier.

        Raises `EpisodeFailure` (infra) if a container has died or the application does not answer: what the agent saw
        then says nothing about the policy.
        """
        try:
            await asyncio.to_thread(self._place.handle.check_running)
            async with httpx.AsyncClient(trust_env=False, timeout=HEALTH_DEADLINE_S) as http:
                status = (await http.get(f"{self._place.url.rstrip('/')}{HEALTH}")).status_code
            if status >= 500:
                raise EnvironmentBroken(f"{HEALTH} answers {status}")
        except (EnvironmentBroken, httpx.HTTPError) as error:
            reason = str(error) or type(error).__name__
            message = f"{Metabase.name} is not healthy at the episode's end: {reason}"
            raise failed("infra", "ENVIRONMENT_BROKEN", message, retryable=True) from error
        return {}


def start_of(task: Task, url: str) -> str:
    """The start address on a pair: of a task's own address only path, query and fragment count."""
    own = urlsplit(task.start_url)
    return urlsplit(url)._replace(path=own.path or "/", query=own.query, fragment=own.fragment).geturl()
