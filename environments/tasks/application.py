"""An application on a provider, as an environment: serves its tasks, reads the end state, judges by the changes."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, Protocol, Self, TypeVar

from pydantic import ValidationError

from agent.failures import failed
from agent.types import AgentAction, Answer, Reach, Site, Split, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import LoginState, Observation, Viewport
from environments.base import SEEDS, EnvironmentBroken, Handle, Place, Provider
from environments.bounds import UNBOUNDED, Bounds
from environments.canaries import CANARY, canary_of
from environments.tasks.changes import MOST_CHANGES, Changes, EndState, changes_between
from environments.tasks.templates import Ending, Parameters, Template, Templates
from environments.teardown import Teardowns

logger = logging.getLogger(__name__)


MISPLAYS = 100
"""Seeds among which a task with another goal is looked for."""
HandleIn = TypeVar("HandleIn", contravariant=True)


class Application(Protocol[HandleIn]):
    """An application: its tasks, and how a place of it is set up and read."""

    name: str
    viewport: Viewport
    templates: Templates

    def start(self, seed: int) -> Any:
        """The start state of a seed, as the templates see it: the same for the same seed, without any server."""
        ...

    async def set_up(self, handle: HandleIn, seed: int) -> None:
        """Brings a fresh place into the start state of a seed."""
        ...

    async def read(self, handle: HandleIn) -> dict[str, Any]:
        """The place's state as JSON, for comparison: everything that an agent could change."""
        ...


class ApplicationEnvironment(Generic[Handle]):
    """Tasks of an application. Implements `environments.base.SeededEnvironment`.

    Example:
        async with ApplicationEnvironment(shop, StaticProvider(shop)) as environment:
            task = environment.task("add-to-cart", 7, "train")
            async with environment.serve(task, trajectory_id="t1") as site:
                ...  # open site.start_url
    """

    judges = True

    def __init__(
        self,
        application: Application[Handle],
        provider: Provider[Handle],
        *,
        viewport: Viewport | None = None,
        bounds: Bounds = UNBOUNDED,
    ) -> None:
        """`bounds`: limits of the configuration. A page reaches its own site only, whatever they would allow."""
        self.name = application.name
        self.viewport = viewport or application.viewport
        self._application, self._provider, self._bounds = application, provider, bounds
        self._teardowns = Teardowns()

    async def __aenter__(self) -> Self:
        """Starts the provider. Raises `EnvironmentBroken` and OSError with one sentence."""
        await self._provider.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._teardowns.finish()
        await self._provider.__aexit__(*exc)

    def domains(self, split: Split | None = None) -> list[str]:
        """Names of the templates, of one split or of both, sorted."""
        return self._application.templates.names(split)

    def task(self, domain: str, seed: int, split: Split) -> Task:
        """Makes the task of a template with a seed; see `Templates.task`."""
        return self._application.templates.task(domain, seed, split, self._application.start)

    def canary(self, domain: str, seed: int) -> Task:
        """Makes a canary on the page of a template's task; raises as `task` does."""
        return canary_of(self.task(domain, seed, "train"))

    def task_from_id(self, task_id: str) -> Task:
        """Makes the task of an id; see `Templates.task_from_id`."""
        if task_id.startswith(CANARY):
            return canary_of(self.task_from_id(task_id.removeprefix(CANARY)))
        return self._application.templates.task_from_id(task_id, self._application.start)

    @asynccontextmanager
    async def serve(self, task: Task, *, trajectory_id: str) -> AsyncGenerator[Site]:
        """Serves one episode at a place of its own; leaving the context removes it.

        Raises `EpisodeFailure` (infra) when there is no place, `UnknownTask` for a task of another environment.
        """
        parameters = self.parameters(task)
        async with self._teardowns.removing(self._opened(task, trajectory_id), trajectory_id) as (place, before):
            reach = self._bounds.reach(task, sites=place.sites, only_sites=True)
            yield ApplicationSite(self._application, task, place, reach, parameters, before)

    async def check(self, trajectory: Trajectory, evidence: dict[str, Any]) -> Verdict:
        """Returns reward 1 if all criteria of the template hold, otherwise 0; None without a usable record."""
        failure = trajectory.failure
        if failure is not None and failure.side != "policy":
            return self._unjudged(trajectory, f"{failure.side} failed: {failure.message}")
        if trajectory.task.canary:
            return self._unjudged(trajectory, "The template's criteria are about another goal than the canary's.")
        try:
            end = EndState.model_validate(evidence)
        except ValidationError:
            return self._unjudged(trajectory, f"Expected a recorded end of the episode, found {evidence!r}.")
        template = self._application.templates.find(trajectory.task.domain)
        ending = Ending(end.parameters, Changes(end.changes), (trajectory.answer or "").strip())
        criteria = dict(template.check(ending)) | ({"few_changes": False} if end.truncated else {})
        missing = [name for name, holds in criteria.items() if not holds]
        return Verdict(
            trajectory_id=trajectory.id,
            reward=0.0 if missing else 1.0,
            criteria=criteria,
            evidence=f"not fulfilled: {', '.join(missing)}; {_listed(end)}" if missing else _listed(end),
            judge=self.name,
        )

    def solve(self, task: Task, goal: str, observation: Observation, *, step: int) -> AgentAction:
        """Returns the scripted solution's next action. Raises `Unsolvable` if it does not know the page.

        It says at once that a canary can't be done.
        """
        if task.canary:
            return Answer(text="This can't be done.")
        return self._application.templates.find(task.domain).solve(self.parameters(task), observation, step)

    def misplay(self, task: Task) -> Task | None:
        """Another task of the same family, whose scripted solution is wrong for this one; None if all are alike."""
        own = self.parameters(task)
        seeds = SEEDS[task.split]
        for step in range(1, MISPLAYS):
            seed = seeds.start + (task.seed - seeds.start + step) % len(seeds)
            other = self.task(task.domain, seed, task.split)
            found = self.parameters(other)
            if other.goal != task.goal and ("answer" not in own or own["answer"] != found["answer"]):
                return other
        return None

    def template(self, task: Task) -> Template:
        """The template that a task was made from. Raises `UnknownTask`."""
        return self._application.templates.find(task.domain)

    def parameters(self, task: Task) -> Parameters:
        """The parameters with which the task's template is filled. Raises `UnknownTask`."""
        return self._application.templates.filled(task.domain, task.seed, self._application.start).parameters

    @asynccontextmanager
    async def _opened(self, task: Task, trajectory_id: str) -> AsyncGenerator[tuple[Place[Handle], dict[str, Any]]]:
        """A place in the task's start state, with this state. Failures to get there are infrastructure failures."""
        try:
            fresh: AbstractAsyncContextManager[Place[Handle]] = self._provider.fresh(trajectory_id)
            place = await fresh.__aenter__()
        except (EnvironmentBroken, OSError, TimeoutError) as error:
            raise failed("infra", "ENVIRONMENT_BROKEN", f"{self.name}: {error}", retryable=True) from error
        try:
            try:
                await self._application.set_up(place.handle, task.seed)
                before = await self._application.read(place.handle)
            except (EnvironmentBroken, OSError, TimeoutError) as error:
                message = f"{self.name} can't be brought into its start state: {error}"
                raise failed("infra", "ENVIRONMENT_BROKEN", message, retryable=True) from error
            yield place, before
        finally:
            await asyncio.shield(fresh.__aexit__(None, None, None))

    def _unjudged(self, trajectory: Trajectory, why: str) -> Verdict:
        return Verdict(trajectory_id=trajectory.id, reward=None, evidence=why[:500], judge=self.name)


class ApplicationSite(Generic[Handle]):
    """One episode on an application. Implements `agent.types.Site`."""

    def __init__(
        self,
        application: Application[Handle],
        task: Task,
        place: Place[Handle],
        reach: Reach,
        parameters: Parameters,
        before: dict[str, Any],
    ) -> None:
        self.start_url, self.reach = place.url, reach
        self.login: LoginState | None = place.login
        self._application, self._task, self._place = application, task, place
        self._parameters, self._before = parameters, before

    async def goal(self) -> str:
        """The task's goal."""
        return self._task.goal

    def is_over(self) -> bool:
        """Always False: the agent says when it has finished."""
        return False

    async def final_state(self) -> dict[str, Any]:
        """The parameters of the task, and all changes of the state since the start; see `EndState`."""
        changes = changes_between(self._before, await self._application.read(self._place.handle))
        return EndState(
            parameters=self._parameters,
            changes=tuple(changes[:MOST_CHANGES]),
            truncated=len(changes) > MOST_CHANGES,
        ).model_dump(mode="json")


def _listed(end: EndState) -> str:
    """The first changes in a line, for the verdict's evidence."""
    lines = [f"{path}: {before!r} -> {after!r}" for path, before, after in end.changes[:5]]
    more = f" and {len(end.changes) - 5} more" if len(end.changes) > 5 else ""
    return ("changes: " + "; ".join(lines) + more)[:1_000] if lines else "nothing changed"
