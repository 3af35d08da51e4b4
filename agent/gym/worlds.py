"""Protocols for episodes of outside agents: a world, which serves and judges tasks, and a source of tasks."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import numpy as np

from agent.types import Site, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import Viewport


class World(Protocol):
    """Serves and judges tasks; `environments.base.Environment` fits. Entered once, in the event loop of its episodes."""

    viewport: Viewport

    async def __aenter__(self) -> Any: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def serve(self, task: Task, *, trajectory_id: str) -> AbstractAsyncContextManager[Site]:
        """Serves a fresh site for one episode."""
        ...

    async def check(self, trajectory: Trajectory, evidence: dict[str, Any]) -> Verdict:
        """Returns the verdict about an episode from the environment's record of the site."""
        ...


class Tasks(Protocol):
    """Source of the tasks of episodes."""

    def draw(self, rng: np.random.Generator) -> Task:
        """Draws a task at random; the same generator state gives the same task."""
        ...

    def find(self, task_id: str) -> Task:
        """Returns the task with this id. Raises ValueError if there is none."""
        ...
