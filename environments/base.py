"""Protocols of an environment: tasks by split, a site per episode, a verifier, a scripted solution."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from agent.types import AgentAction, Site, Split, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import Observation, Viewport

SEEDS: dict[Split, range] = {"train": range(1_000_000), "heldout": range(1_000_000, 2_000_000)}
"""Seeds of each split, the same in every environment: no task can be in both splits."""


class UnknownTask(ValueError):
    """A task id or family that the environment does not have. The message names the nearest ones."""


class Unsolvable(RuntimeError):
    """A scripted solution did not find its element on the page: the page or the solution is wrong, not the policy."""


class Environment(Protocol):
    """Serves and judges tasks. Enter it once (`async with`), then serve episodes.

    Entering starts shared resources (a web server, for example); leaving stops them.
    """

    name: str
    viewport: Viewport
    judges: bool
    """True if `check` can give a reward. If False, nothing is learned without another judge."""

    async def __aenter__(self) -> "Environment": ...

    async def __aexit__(self, *exc: object) -> None: ...

    def serve(self, task: Task, *, trajectory_id: str) -> AbstractAsyncContextManager[Site]:
        """Serves a fresh site for one episode; leaving the context removes it."""
        ...

    def check(self, trajectory: Trajectory) -> Verdict:
        """Returns the verdict from `trajectory.final_state` alone, so judging can be repeated without any server."""
        ...


class SeededEnvironment(Environment, Protocol):
    """An environment that makes its own tasks, from a family (domain) and a seed, and can solve them."""

    def domains(self) -> list[str]:
        """Names of the task families, sorted."""
        ...

    def task(self, domain: str, seed: int, split: Split) -> Task:
        """Makes the task of a family with a seed. Raises `UnknownTask`, and ValueError for a seed of another split."""
        ...

    def canary(self, domain: str, seed: int) -> Task:
        """Makes a canary on the page of a family: a training task that nobody can do. Raises as `task` does."""
        ...

    def task_from_id(self, task_id: str) -> Task:
        """Makes the task of an id such as `click-button.1000007`. Raises `UnknownTask`."""
        ...

    def solve(self, task: Task, goal: str, observation: Observation, *, step: int) -> AgentAction:
        """Returns the next action of a scripted solution: proves that the task can be solved.

        Raises `UnknownTask` if there is none, `Unsolvable` if the solution does not know the page.
        """
        ...
