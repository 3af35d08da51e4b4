"""What an environment is: tasks by split, a site per episode, a verifier, a scripted solution."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from agent.types import AgentAction, Site, Split, Task, Trajectory, Verdict
from browser_service.models import Observation, Viewport

SEEDS: dict[Split, range] = {"train": range(1_000_000), "heldout": range(1_000_000, 2_000_000)}
"""Which seeds belong to which split, in every environment: no task can be in both."""


class UnknownTask(ValueError):
    """A task id or family that the environment does not have. The message names the nearest ones."""


class Unsolvable(RuntimeError):
    """A scripted solution did not find what it needs on the page: the page or the solution is wrong, not the policy."""


class Environment(Protocol):
    """What serves and judges tasks. Enter it once (`async with`), then serve episodes.

    Entering starts what all episodes share (a web server, say); leaving stops it.
    """

    name: str
    viewport: Viewport
    judges: bool
    """Whether `check` can ever give a reward. Where it cannot, nothing is learned without another judge."""

    async def __aenter__(self) -> "Environment": ...

    async def __aexit__(self, *exc: object) -> None: ...

    def serve(self, task: Task, *, trajectory_id: str) -> AbstractAsyncContextManager[Site]:
        """A fresh site for one episode; leaving the context forgets it."""
        ...

    def check(self, trajectory: Trajectory) -> Verdict:
        """The verdict from `trajectory.final_state` alone, so that judging can be repeated later without any server."""
        ...


class SeededEnvironment(Environment, Protocol):
    """An environment that makes its own tasks, a family (domain) and a seed at a time, and can solve them."""

    def domains(self) -> list[str]:
        """Names of the task families, sorted."""
        ...

    def task(self, domain: str, seed: int, split: Split) -> Task:
        """The task of a family with a seed. Raises `UnknownTask`, and ValueError when the seed is not of that split."""
        ...

    def task_from_id(self, task_id: str) -> Task:
        """The task that an id such as `click-button.1000007` names. Raises `UnknownTask`."""
        ...

    def solve(self, task: Task, goal: str, observation: Observation, *, step: int) -> AgentAction:
        """The next action of a scripted solution: proves that the task can be solved.

        Raises `UnknownTask` if there is none, `Unsolvable` if the page is not what the solution knows.
        """
        ...
