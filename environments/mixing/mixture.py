"""Several environments as one: a task is served, judged and solved by the environment that it names."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Self

from agent.types import AgentAction, Site, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import Observation, Viewport
from environments.base import Environment, UnknownTask

NAME = "mix"


class Mixture:
    """Implements `environments.base.Environment`, and the scripted solutions of the parts that have some.

    Example: `Mixture([shop, misago], viewport=None)`
    """

    name = NAME

    def __init__(self, parts: Sequence[Environment], *, viewport: Viewport | None) -> None:
        """`viewport`: that of all episodes; None: the largest of the parts'. Raises ValueError for two parts of one name."""
        self._parts = {part.name: part for part in parts}
        if len(self._parts) != len(parts):
            raise ValueError(f"a mix has each environment once, found {', '.join(part.name for part in parts)}")
        largest = max((part.viewport for part in parts), key=lambda size: size.width * size.height)
        self.viewport = viewport or largest
        self.judges = any(part.judges for part in parts)
        self._running = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Starts all parts; if one can't be started, none runs. Raises what it raises."""
        async with AsyncExitStack() as starting:
            for part in self._parts.values():
                await starting.enter_async_context(part)
            self._running = starting.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._running.aclose()

    def serve(self, task: Task, *, trajectory_id: str) -> AbstractAsyncContextManager[Site]:
        """A fresh site of the task's environment. Raises what it raises, and `UnknownTask`."""
        return self._part(task).serve(task, trajectory_id=trajectory_id)

    async def check(self, trajectory: Trajectory, evidence: dict[str, Any]) -> Verdict:
        """The verdict of the task's environment. Raises `UnknownTask`."""
        return await self._part(trajectory.task).check(trajectory, evidence)

    def solve(self, task: Task, goal: str, observation: Observation, *, step: int) -> AgentAction:
        """The next action of the scripted solution of the task's environment. Raises `UnknownTask` without one."""
        part = self._part(task)
        solve = getattr(part, "solve", None)
        if solve is None:
            raise UnknownTask(f"the tasks of {part.name} have no scripted solution")
        return solve(task, goal, observation, step=step)

    def _part(self, task: Task) -> Environment:
        if (part := self._parts.get(task.environment)) is None:
            raise UnknownTask(f"the task {task.id} is of {task.environment!r}; the mix has {', '.join(self._parts)}")
        return part
