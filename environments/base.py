"""Protocols of an environment: tasks by split, a site per episode, a verifier, a scripted solution.

An environment is an application on a provider. The provider gives each episode a place of its own (`Place`): pages in
memory, a process, containers. The application (`environments.tasks.application`) has the tasks and reads the
place for the verifier.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from agent.types import AgentAction, Site, Split, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import LoginState, Observation, Viewport

SEEDS: dict[Split, range] = {"train": range(1_000_000), "heldout": range(1_000_000, 2_000_000)}
"""Seeds of each split, the same in every environment: no task can be in both splits."""

Handle = TypeVar("Handle")


class UnknownTask(ValueError):
    """A task id or family that the environment does not have. The message names the nearest ones."""


class Unsolvable(RuntimeError):
    """A scripted solution did not find its element on the page: the page or the solution is wrong, not the policy."""


class EnvironmentBroken(RuntimeError):
    """An environment can't be served: a server that never gets healthy, a missing image. One sentence; never a reward."""


class Environment(Protocol):
    """Serves and judges tasks. Enter it once (`async with`), then serve episodes.

    Entering starts shared resources (a web server, for example) and removes those of owners that were killed; leaving
    stops them.
    """

    name: str
    viewport: Viewport
    judges: bool
    """True if `check` can give a reward. If False, nothing is learned without another judge."""

    async def __aenter__(self) -> "Environment": ...

    async def __aexit__(self, *exc: object) -> None: ...

    def serve(self, task: Task, *, trajectory_id: str) -> AbstractAsyncContextManager[Site]:
        """Serves a fresh site for one episode; leaving the context removes it.

        Raises `EpisodeFailure` (infra) when the site can't be served: the episode is played again, elsewhere. Removing
        it always happens, also when the episode is cancelled, and never fails a finished episode.
        """
        ...

    async def check(self, trajectory: Trajectory, evidence: dict[str, Any]) -> Verdict:
        """Returns the verdict about an episode, finished or not.

        `evidence` is the record of `Site.final_state`: for a finished episode `trajectory.final_state`. No server is
        needed, so judging can be repeated.
        """
        ...


class SeededEnvironment(Environment, Protocol):
    """An environment that makes its own tasks, from a family (domain) and a seed, and can solve them."""

    def domains(self, split: Split | None = None) -> list[str]:
        """Names of the task families, of one split or of both, sorted."""
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


@dataclass(frozen=True)
class Place(Generic[Handle]):
    """The place where one episode is played.

    Example: `Place(url="http://127.0.0.1:4000/e/9f../", sites=("127.0.0.1:4000",), login=None, handle=episode)`
    """

    url: str
    """Start address."""
    sites: tuple[str, ...]
    """Everything that the browser may reach."""
    handle: Handle
    """For the application's own set-up and for the verifier: the browser can't reach it."""
    login: LoginState | None = None
    """Cookies and storage that the browser has before the start page."""


class Provider(Protocol[Handle]):
    """Gives each episode a place of its own. Enter it once, then ask for places."""

    async def __aenter__(self) -> Any: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def fresh(self, trajectory_id: str) -> AbstractAsyncContextManager[Place[Handle]]:
        """A fresh place until the context is left.

        Raises `EnvironmentBroken`, OSError or TimeoutError when there can be none.
        """
        ...
