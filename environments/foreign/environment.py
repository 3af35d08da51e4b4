"""An environment of foreign tasks: each begins at its own address, and checks the end by the last page and the answer.

    def make(*, viewport=None, bounds=UNBOUNDED):          # environment.py of a folder of one's own
        return ForeignEnvironment("mine", {"find-price": FindPrice}, heldout=("find-date",), ..)

A task is made from a seed: `FindPrice(7)` has `start_url`, `goal` and `check(end) -> reward`. Sites are not ours, so they
have no fresh state; use an application on a provider where it matters.
"""

import math
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from difflib import get_close_matches
from typing import Any, NamedTuple, Protocol, Self

from agent.types import AgentAction, Site, Split, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import Observation, Viewport
from environments.base import SEEDS, UnknownTask, Unsolvable
from environments.bounds import UNBOUNDED, Bounds
from environments.canaries import canary_of
from environments.providers.live.environment import VIEWPORT, LiveSite


class End(NamedTuple):
    """The end of an episode, as a check sees it."""

    url: str
    """Address of the last page; empty if none was seen."""
    title: str
    answer: str | None
    """The agent's answer; None if it gave none."""
    goal: str


class ForeignTask(Protocol):
    """A task of another project."""

    start_url: str
    goal: str

    def check(self, end: End) -> float:
        """The reward, 0 to 1. What it raises leaves the episode without one."""
        ...


Make = Callable[[int], ForeignTask]
"""Makes a task from a seed: the same seed gives the same task."""


class ForeignEnvironment:
    """Foreign tasks by family. Implements `environments.base.SeededEnvironment`, without scripted solutions."""

    judges = True

    def __init__(
        self,
        name: str,
        families: Mapping[str, Make],
        *,
        heldout: Collection[str] = (),
        private_sites: Sequence[str] = (),
        max_steps: int = 30,
        viewport: Viewport | None = None,
        bounds: Bounds = UNBOUNDED,
    ) -> None:
        """`heldout`: families for evaluation alone; without any, the families have held-out seeds. `private_sites`: private
        addresses that the tasks are on, such as `127.0.0.1:8000`. Raises ValueError for a held-out family that is none.
        """
        if unknown := set(heldout) - families.keys():
            raise ValueError(f"{name}: held-out family {min(unknown)} is none of {', '.join(sorted(families))}")
        self.name, self.viewport = name, viewport or VIEWPORT
        self._families, self._heldout = dict(families), frozenset(heldout)
        self._private_sites, self._bounds, self._max_steps = tuple(private_sites), bounds, max_steps

    async def __aenter__(self) -> Self:
        """Starts nothing: the sites run already."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stops nothing."""

    def domains(self, split: Split | None = None) -> list[str]:
        """Names of the families of a split, sorted."""
        return sorted(name for name in self._families if split is None or self._is_in(name, split))

    def task(self, domain: str, seed: int, split: Split) -> Task:
        """Makes the task of a family. Raises `UnknownTask`, and ValueError for a family or a seed of the other split."""
        made = self._made(domain, seed)
        if seed not in SEEDS[split] or not self._is_in(domain, split):
            raise ValueError(f"{self.name}: {domain} with seed {seed} is no task of the {split} split")
        return Task(
            id=f"{domain}.{seed}",
            environment=self.name,
            goal=made.goal,
            start_url=made.start_url,
            domain=domain,
            seed=seed,
            max_steps=self._max_steps,
            split=split,
        )

    def canary(self, domain: str, seed: int) -> Task:
        """Makes a canary on the start page of a task."""
        return canary_of(self.task(domain, seed, "train"))

    def task_from_id(self, task_id: str) -> Task:
        """Makes the task of an id such as `find-price.7`. Raises `UnknownTask`."""
        domain, _, number = task_id.rpartition(".")
        if not (number.isascii() and number.isdigit() and len(number) < 8):
            raise UnknownTask(f"Expected a task id of {self.name} such as {self.domains()[0]}.7, found {task_id!r}.")
        seed = int(number)
        split = next((name for name, seeds in SEEDS.items() if seed in seeds), None)
        if split is None:
            raise UnknownTask(f"Expected a seed below {SEEDS['heldout'].stop} in {task_id!r}.")
        try:
            return self.task(domain, seed, split)
        except UnknownTask:
            raise
        except ValueError as error:
            raise UnknownTask(str(error)) from error

    def solve(self, task: Task, goal: str, observation: Observation, *, step: int) -> AgentAction:
        """Raises `Unsolvable`: foreign tasks come without scripts."""
        raise Unsolvable(f"{self.name}: foreign tasks have no scripted solution")

    @asynccontextmanager
    async def serve(self, task: Task, *, trajectory_id: str) -> AsyncGenerator[Site]:
        """Yields a site at the task's own address."""
        yield LiveSite(task, self._bounds.reach(task, sites=self._private_sites))

    async def check(self, trajectory: Trajectory, evidence: dict[str, Any]) -> Verdict:
        """The verdict of the task's own check. A reward that is no number from 0 to 1 is none."""
        task, page = trajectory.task, trajectory.final_observation
        end = End(page.url if page else "", page.title if page else "", trajectory.answer, trajectory.goal)
        reward = float(self._made(task.domain, task.seed).check(end))
        is_valid = math.isfinite(reward) and 0 <= reward <= 1
        return Verdict(
            trajectory_id=trajectory.id,
            reward=reward if is_valid else None,
            judge=self.name,
            evidence=f"its own check gave {reward:g}" + ("" if is_valid else ", expected 0 to 1"),
            unjudged="" if is_valid else "invalid_reward",
        )

    def _is_in(self, name: str, split: Split) -> bool:
        if not self._heldout:
            return True
        return (name in self._heldout) == (split == "heldout")

    def _made(self, domain: str, seed: int) -> ForeignTask:
        if (make := self._families.get(domain)) is None:
            near = get_close_matches(domain, self._families, n=3) or sorted(self._families)
            raise UnknownTask(f"There is no task family {domain!r} in {self.name}; did you mean {', '.join(near)}?")
        return make(seed)
